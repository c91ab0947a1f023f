# shellcheck shell=bash
# What a version is made of, as it comes to the VM: files and images. Needs release.sh.

# unpack VERSION <TAR
unpack() {
    local folder=releases/$1
    rm -rf "$folder.part" && mkdir -p "$folder.part"
    tar --extract --no-same-owner --directory "$folder.part"
    # nginx and Valkey are users of their own.
    chmod -R u=rwX,go=rX "$folder.part"
    rm -rf "$folder" && mv "$folder.part" "$folder"
}

has_image() { docker image inspect "barestream:$1" >/dev/null 2>&1; }

# The images beside the app's own that Docker lacks.
missing_images() {
    local image images
    images=$(base_compose "$1" config --images)
    for image in $images; do
        [ "$image" = barestream ] || docker image inspect "$image" >/dev/null 2>&1 || echo "$image"
    done
}

# The layers that Docker has, as docker save names them.
layers() {
    docker image ls --quiet | sort -u | xargs --no-run-if-empty docker image inspect \
        --format '{{range .RootFS.Layers}}blobs/{{slice . 0 6}}/{{slice . 7}}{{"\n"}}{{end}}' | sort -u
}

load() { docker load --quiet; }

# pull IMAGE VERSION: from a registry, and give it the name that it has here.
pull() {
    docker pull --quiet "$1"
    docker tag "$1" "barestream:$2"
    docker image rm "$1" >/dev/null
}
