# shellcheck shell=bash
# A version's image and files: made here, and brought to the VM. Needs progress.sh and
# connection.sh.

repository() { git -C "$(deploy_file ..)" "$@"; }

# look_here REVISION: set version to its commit.
look_here() {
    local wanted=$1
    version=$(repository rev-parse --verify --quiet --short=12 "$wanted^{commit}") ||
        fail "git knows no commit $wanted" "Name a commit, a tag or a branch."
    docker version >/dev/null 2>&1 ||
        fail "no Docker answers here" "Start one: it builds the image."
    [ "$wanted" != HEAD ] || repository diff --quiet HEAD ||
        say "what is not committed stays out"
    say "$version $(repository log -1 --format=%s "$version")"
}

# build VERSION ARCHITECTURE: of the files of that commit, and nothing else; for the VM's kind of
# machine, which may not be this one's.
build() { DOCKER_DEFAULT_PLATFORM=linux/$2 attempt "Build it by hand: docker build ." build_image "$1"; }

build_image() {
    local version=$1 arguments=()
    [ -z "${PYTHON_IMAGE:-}" ] || arguments+=(--build-arg PYTHON_IMAGE)
    [ -z "${PIP_INDEX_URL:-}" ] || arguments+=(--build-arg PIP_INDEX_URL)
    repository archive "$version" | run docker build --quiet "${arguments[@]}" \
        --label "org.opencontainers.image.revision=$(repository rev-parse "$version")" \
        --tag "barestream:$version" - >/dev/null
}

# ship VERSION ARCHITECTURE: what the VM lacks of it.
ship() {
    local version=$1 architecture=$2 images=() image missing
    attempt "Has the VM room? df -h /opt" ship_files "$version"
    on_release has_image "$version" || images=("barestream:$version")
    if [ -n "${DEPLOY_REGISTRY:-}" ]; then
        [ ${#images[@]} = 0 ] || attempt "Log in: docker login." ship_by_registry "$version"
        return
    fi
    missing=$(on_release missing_images "$version") ||
        fail "Compose does not take the VM's settings: see above" "Correct /opt/barestream/.env on the VM."
    for image in $missing; do
        [ "$(docker image inspect --format '{{.Architecture}}' "$image" 2>/dev/null)" = "$architecture" ] ||
            run docker pull --quiet --platform "linux/$architecture" "$image" >/dev/null ||
            fail "$image is not here, and cannot be pulled: see above" "Run it again."
        images+=("$image")
    done
    [ ${#images[@]} = 0 ] || attempt "Has the VM room? df -h /var/lib/docker" ship_by_ssh "${images[@]}"
}

ship_files() {
    repository archive "$1" docker-compose.yml deploy nginx | on_release unpack "$1"
}

# Without the layers that the VM has. A Docker that does not take such an archive, or writes it
# in another way, gets all of it.
ship_by_ssh() {
    local known
    known=$(comm -12 <(docker image inspect --format "$layers" "$@" | sort -u) <(on_release layers))
    # shellcheck disable=SC2086  # a word a layer
    if [ -n "$known" ] && docker save "$@" | tar --delete $known 2>/dev/null | send_image 2>/dev/null; then
        return
    fi
    docker save "$@" | send_image
}

# As docker save names them.
layers='{{range .RootFS.Layers}}blobs/{{slice . 0 6}}/{{slice . 7}}{{"\n"}}{{end}}'

# docker load unpacks it by itself.
send_image() { gzip -1 | on_release load; }

ship_by_registry() {
    local version=$1 name=$DEPLOY_REGISTRY/barestream:$1
    docker tag "barestream:$version" "$name"
    run docker push --quiet "$name"
    on_release pull "$name" "$version"
}
