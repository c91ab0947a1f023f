# shellcheck shell=bash
# A version's image and files: made here, and brought to the VM. Needs progress.sh and
# connection.sh.

repository() { git -C "$here/.." "$@"; }

look_here() {
    version=$(repository rev-parse --verify --quiet --short=12 "$wanted^{commit}") ||
        fail "git knows no commit $wanted" "Name a commit, a tag or a branch."
    docker version >/dev/null 2>&1 ||
        fail "no Docker answers here" "Start one: it builds the image."
    [ "$wanted" != HEAD ] || repository diff --quiet HEAD ||
        say "what is not committed stays out"
    say "$version $(repository log -1 --format=%s "$version")"
}

# Of the files of that commit, and nothing else; for the VM's kind of machine, which may not be this
# one's.
build() {
    architecture=$(on_release architecture)
    export DOCKER_DEFAULT_PLATFORM=linux/$architecture
    attempt "Build it by hand: docker build ." build_image
}

build_image() {
    local arguments=()
    [ -z "${PYTHON_IMAGE:-}" ] || arguments+=(--build-arg PYTHON_IMAGE)
    [ -z "${PIP_INDEX_URL:-}" ] || arguments+=(--build-arg PIP_INDEX_URL)
    repository archive "$version" | run docker build --quiet "${arguments[@]}" \
        --label "org.opencontainers.image.revision=$(repository rev-parse "$version")" \
        --tag "barestream:$version" - >/dev/null
}

ship() {
    local images=() image missing
    attempt "Has the VM room? df -h /opt" ship_files
    on_release has_image "$version" || images=("barestream:$version")
    if [ -n "${DEPLOY_REGISTRY:-}" ]; then
        [ ${#images[@]} = 0 ] || attempt "Log in: docker login." ship_by_registry
        return
    fi
    missing=$(on_release missing_images "$version") ||
        fail "Compose does not take the VM's settings: see above" "Correct /opt/barestream/.env on the VM."
    for image in $missing; do
        [ "$(docker image inspect --format '{{.Architecture}}' "$image" 2>/dev/null)" = "$architecture" ] ||
            run docker pull --quiet "$image" >/dev/null ||
            fail "$image is not here, and cannot be pulled: see above" "Run it again."
        images+=("$image")
    done
    [ ${#images[@]} = 0 ] || attempt "Has the VM room? df -h /var/lib/docker" ship_by_ssh "${images[@]}"
}

ship_files() {
    repository archive "$version" docker-compose.yml deploy nginx | on_release unpack "$version"
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
    local name=$DEPLOY_REGISTRY/barestream:$version
    docker tag "barestream:$version" "$name"
    run docker push --quiet "$name"
    on_release pull "$name" "$version"
}
