# shellcheck shell=bash
# Makes a version's image here, and sends it to the VM with the version's files. Needs progress.sh,
# connection.sh and hosts.sh.

repository() { git -C "$(deploy_file ..)" "$@"; }

# look_here REVISION: set version to its commit; check that Docker answers.
look_here() {
    local wanted=$1
    version=$(repository rev-parse --verify --quiet --short=12 "$wanted^{commit}") ||
        fail "git finds no commit '$wanted'" "Name a commit, a tag or a branch."
    docker version >/dev/null 2>&1 ||
        fail "Docker does not answer on this machine" "Start it: it builds the image."
    [ "$wanted" != HEAD ] || repository diff --quiet HEAD ||
        say "note: uncommitted changes are not included"
    say "$version $(repository log -1 --format=%s "$version")"
}

# build VERSION ARCHITECTURE: build the image from the files of that commit alone, for the VM's
# architecture, which may differ from this machine's. Hosts of one architecture share the image.
build() {
    if are_several; then
        local built
        built=$(shared_file built)
        [ "$(cat "$built" 2>/dev/null)" != "$2" ] || return 0
        # The tag can only be of one architecture.
        rm -f "$built"
    fi
    DOCKER_DEFAULT_PLATFORM=linux/$2 attempt "Correct the cause: 'docker build .' shows the whole output." build_image "$1"
    ! are_several || echo "$2" >"$built"
}

build_image() {
    local version=$1 arguments=()
    [ -z "${PYTHON_IMAGE:-}" ] || arguments+=(--build-arg PYTHON_IMAGE)
    [ -z "${PIP_INDEX_URL:-}" ] || arguments+=(--build-arg PIP_INDEX_URL)
    repository archive "$version" | run docker build --quiet "${arguments[@]}" \
        --label "org.opencontainers.image.revision=$(repository rev-parse "$version")" \
        --tag "barestream:$version" - >/dev/null
}

# ship VERSION ARCHITECTURE: send the files, and the images that the VM lacks.
ship() {
    local version=$1 architecture=$2 images=() image missing
    attempt "Check that the VM has free disk space: df -h /opt" ship_files "$version"
    on_release has_image "$version" || images=("barestream:$version")
    if [ -n "${DEPLOY_REGISTRY:-}" ]; then
        [ ${#images[@]} = 0 ] || attempt "Log in to the registry: docker login ${DEPLOY_REGISTRY%%/*}" ship_by_registry "$version"
        return
    fi
    missing=$(on_release missing_images "$version") ||
        fail "Compose refuses the VM's settings: see the lines above" "Correct /opt/barestream/.env on the VM."
    for image in $missing; do
        [ "$(docker image inspect --format '{{.Architecture}}' "$image" 2>/dev/null)" = "$architecture" ] ||
            run docker pull --quiet --platform "linux/$architecture" "$image" >/dev/null ||
            fail "$image is not on this machine, and docker pull failed: see the lines above" \
                "Check that this machine reaches the registry, and run it again."
        images+=("$image")
    done
    [ ${#images[@]} = 0 ] || attempt "Check that the VM has free disk space: df -h /var/lib/docker" ship_by_ssh "${images[@]}"
}

ship_files() {
    repository archive "$1" docker-compose.yml deploy nginx | on_release unpack "$1"
}

# Send the images without the layers that the VM has. If a Docker refuses such an archive, or writes
# archives in another form, send all layers.
ship_by_ssh() {
    local known
    known=$(comm -12 <(docker image inspect --format "$layers" "$@" | sort -u) <(on_release layers))
    # shellcheck disable=SC2086  # a word a layer
    if [ -n "$known" ] && docker save "$@" | tar --delete $known 2>/dev/null | send_image 2>/dev/null; then
        return
    fi
    docker save "$@" | send_image
}

# The layers of an image, as docker save names them.
layers='{{range .RootFS.Layers}}blobs/{{slice . 0 6}}/{{slice . 7}}{{"\n"}}{{end}}'

# docker load unpacks gzip.
send_image() { gzip -1 | on_release load; }

ship_by_registry() {
    local version=$1 name=$DEPLOY_REGISTRY/barestream:$1
    docker tag "barestream:$version" "$name"
    run docker push --quiet "$name"
    on_release pull "$name" "$version"
}
