# shellcheck shell=bash
# The versions on a VM, and which one of them serves. Needs candidate.sh and nginx.sh.
#
#   /opt/barestream/.env               the operator's settings
#   /opt/barestream/release.env        the version that serves, and its name: blue or green
#   /opt/barestream/versions           the kept versions, the newest last
#   /opt/barestream/releases/VERSION/  a version's files, without its image
#   /opt/barestream/nginx/             nginx's live configuration, which its container has mounted

cd /opt/barestream || exit

# The one that serves, one to go back to, and one more in case that one fails too.
kept_versions=3

version='' serving=''
# shellcheck source=/dev/null
if [ -f release.env ]; then . ./release.env && version=$BARESTREAM_VERSION serving=$COMPOSE_PROFILES; fi
if [ "$serving" = blue ]; then other=green; else other=blue; fi

# Print the version that serves, if one does; its name; and the other name.
version() { echo "$version"; }
serving() { echo "$serving"; }
other() { echo "$other"; }

# One step at a time: a step whose operator was cut off runs to its end.
exec 8>step.lock
flock 8

stop_with() {
    printf '%s\n' "$1" >&2
    exit 1
}

# resolve VERSION: print it if it is kept; without VERSION, print the one before that serves.
resolve() {
    local wanted=$1
    [ -f versions ] || stop_with "no version has served on this VM yet"
    if [ -z "$wanted" ]; then
        wanted=$(tail -n 2 versions | head -n 1)
        [ "$wanted" != "$version" ] || stop_with "no earlier version is kept on this VM; $version serves"
    fi
    [ "$wanted" != "$version" ] || stop_with "$version serves already; the kept versions are:"$'\n'"$(cat versions)"
    grep -qx "$wanted" versions || stop_with "$wanted is not kept on this VM; the kept versions are:"$'\n'"$(cat versions)"
    echo "$wanted"
}

# Remove what a run left that was cut off: a version that it tested, or one that it drained.
clean_up() {
    if [ -n "$serving" ]; then
        agree_with_release
        restore
    fi
    if [ -n "$(container "$other")" ]; then
        echo "an earlier run was cut off: removing the app that it left as $other"
        drain
    fi
    forget
}

# keep VERSION: record that it serves, by one rename.
keep() {
    release_env "$1" >release.env.part && mv release.env.part release.env
    version=$1
    read -r serving other <<<"$other $serving"
    agree_with_release
    systemctl start barestream
}

# Make all else agree with release.env. If a run was cut off here, the next one does it.
agree_with_release() {
    cp "releases/$version/deploy/vm/compose" compose.part && mv compose.part compose
    { [ ! -f versions ] || grep -vx "$version" versions || true; echo "$version"; } >versions.part
    mv versions.part versions
    # When the machine restarts, only the version that serves starts again.
    set_restart "$serving" always
    set_restart "$other" no
    rm -rf "nginx.$other"
}

# set_restart SERVICE POLICY: set the policy of its container, if there is one.
set_restart() {
    local id
    id=$(container "$1")
    [ -z "$id" ] || docker update --restart "$2" "$id" >/dev/null
}

# Switch nginx back to the version that serves.
restore() {
    local has_other_files=false
    lead_to "$serving"
    if [ -d "nginx.$serving" ]; then
        has_other_files=true
        put_nginx "nginx.$serving"
    fi
    if [ "${BARESTREAM_TLS:-}" = off ] && has_tls_port; then
        # nginx was replaced to turn TLS on, and would redirect all clients to it.
        replace_nginx "$version" "$PWD/compose" --progress quiet
    elif $has_other_files && is_running nginx; then
        reload_nginx
    fi
    rm -rf "nginx.$serving"
}

# Remove the version that was tested, and all that was made for it.
undo() {
    local service
    if [ -n "$serving" ]; then
        restore
        drain
    else
        for service in "$other" nginx valkey; do
            [ -z "$(container "$service")" ] || docker stop "$(container "$service")" >/dev/null
            [ -z "$(container "$service")" ] || docker rm "$(container "$service")" >/dev/null
        done
    fi
    forget
}

# serves VERSION REPLACES_NGINX: whether it serves, with the settings in .env, each worker is ready, and
# nginx's container is as it is to be.
serves() {
    local id
    [ "$version" = "$1" ] || return
    id=$(container "$serving")
    let_replace_nginx "$2"
    [ -n "$id" ] &&
        [ "$("$PWD/compose" config --hash "$serving")" = "$serving $(made_as "$id")" ] &&
        docker exec "$id" barestream health >/dev/null &&
        docker exec "$(container nginx)" nginx-start health >/dev/null &&
        { ! "$2" || ! is_nginx_outdated "$1"; }
}

# settle VERSION: what is done once it alone serves.
settle() {
    update_valkey "$1"
    forget
    let_replace_nginx true
    ! is_nginx_outdated "$1" ||
        echo "nginx's container is outdated (image, ports or limits): 'rollout --replace-nginx' replaces it"
}

# update_valkey VERSION: replace Valkey if the version has another image of it, another start or other
# rights of the service. Streams stay open. Remove it if the app no longer uses it; its volume stays.
update_valkey() {
    local folder=releases/$1/deploy wanted
    if ! has_own_valkey; then
        [ -z "$(container valkey)" ] || remove_valkey
        return
    fi
    wanted=$("$PWD/compose" config --images valkey)
    if [ "$wanted" = "$(docker inspect --format '{{.Config.Image}}' "$(container valkey)")" ] &&
        cmp --quiet "$folder/valkey-start" valkey-start &&
        { [ ! -e "$folder/valkey-service.acl" ] || cmp --quiet "$folder/valkey-service.acl" valkey-service.acl; }; then
        return
    fi
    cp "$folder/valkey-start" valkey-start
    put_valkey_rules "$1"
    "$PWD/compose" --progress quiet up --detach --wait --no-deps --force-recreate valkey
    echo "Valkey was updated to $wanted"
}

# put_valkey_rules VERSION: put its rules of the service in place, if it has any.
put_valkey_rules() {
    [ ! -e "releases/$1/deploy/valkey-service.acl" ] ||
        cp "releases/$1/deploy/valkey-service.acl" valkey-service.acl
}

remove_valkey() {
    local id
    id=$(container valkey)
    docker stop "$id" >/dev/null
    docker rm "$id" >/dev/null
    echo "removed this VM's own Valkey, which $PWD/.env no longer names; its history stays in the volume barestream_history"
}

# Remove the files and images of versions that are not kept.
forget() {
    local tag folder
    [ -f versions ] || : >versions
    tail -n "$kept_versions" versions >versions.part && mv versions.part versions
    docker image ls --format '{{.Tag}}' barestream | while IFS= read -r tag; do
        # A container that an operator made by hand may use the image.
        grep -qx "$tag" versions || docker image rm "barestream:$tag" >/dev/null ||
            echo "the image barestream:$tag was not removed; a container may use it"
    done
    for folder in releases/*; do
        [ -d "$folder" ] || continue
        grep -qx "${folder#releases/}" versions || rm -rf "$folder"
    done
}

# compose_for VERSION ARGUMENT...: run Compose as if that version served under the other name.
compose_for() {
    local state
    mapfile -t state < <(release_env "$1" | grep '=')
    env "${state[@]}" "releases/$1/deploy/vm/compose" --progress quiet "${@:2}"
}

release_env() {
    local blue=${BARESTREAM_BLUE:-none} green=${BARESTREAM_GREEN:-none}
    if [ "$other" = blue ]; then blue=$1; else green=$1; fi
    cat <<ENV
# Written by deploy/rollout.
BARESTREAM_VERSION=$1
COMPOSE_PROFILES=$other
BARESTREAM_BLUE=$blue
BARESTREAM_GREEN=$green
BARESTREAM_TLS=$(tls)
BARESTREAM_OWN_VALKEY=$(has_own_valkey && echo on || echo off)
ENV
}

# base_compose VERSION ARGUMENT...: run Compose with the settings, without blue and green.
base_compose() {
    local folder=releases/$1 overlay=()
    [ "$(tls)" = off ] || overlay=(--file "$folder/deploy/tls.yml")
    BARESTREAM_CERTIFICATES=$PWD/certificates BARESTREAM_ACME=$PWD/acme \
        docker compose --progress quiet --project-name barestream --project-directory "$folder" \
        --env-file .env --file "$folder/docker-compose.yml" "${overlay[@]}" "${@:2}"
}

container() {
    docker ps --all --quiet --filter label=com.docker.compose.project=barestream \
        --filter "label=com.docker.compose.service=$1" --filter label=com.docker.compose.oneoff=False
}

# made_as CONTAINER: print Compose's digest of the configuration that it was made with.
made_as() { docker inspect --format '{{index .Config.Labels "com.docker.compose.config-hash"}}' "$1"; }

is_running() {
    local id
    id=$(container "$1")
    [ -n "$id" ] && [ "$(docker inspect --format '{{.State.Running}}' "$id")" = true ]
}
