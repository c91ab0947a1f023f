# shellcheck shell=bash
# Receives a version's files and images on the VM. Needs release.sh.

# unpack VERSION <TAR: the version's files.
unpack() {
    local folder=releases/$1
    rm -rf "$folder.part" && mkdir -p "$folder.part"
    tar --extract --no-same-owner --directory "$folder.part"
    # The containers of nginx and Valkey read them as other users.
    chmod -R u=rwX,go=rX "$folder.part"
    rm -rf "$folder" && mv "$folder.part" "$folder"
}

has_image() { docker image inspect "barestream:$1" >/dev/null 2>&1; }

# missing_images VERSION: print the images that Docker lacks, except the app's own.
missing_images() {
    local image images services=(nginx)
    ! has_own_valkey || services+=(valkey)
    images=$(base_compose "$1" config --images "${services[@]}")
    for image in $images; do
        docker image inspect "$image" >/dev/null 2>&1 || echo "$image"
    done
}

# Print the layers that Docker has, as docker save names them.
layers() {
    docker image ls --quiet | sort -u | xargs --no-run-if-empty docker image inspect \
        --format '{{range .RootFS.Layers}}blobs/{{slice . 0 6}}/{{slice . 7}}{{"\n"}}{{end}}' | sort -u
}

load() { docker load --quiet; }

# pull IMAGE VERSION: pull it from a registry, and rename it to barestream:VERSION.
pull() {
    docker pull --quiet "$1"
    docker tag "$1" "barestream:$2"
    docker image rm "$1" >/dev/null
}
