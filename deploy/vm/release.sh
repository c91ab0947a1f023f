# shellcheck shell=bash
# The versions on a VM, and which one of them serves. Needs candidate.sh and nginx.sh.
#
#   /opt/barestream/.env               the operator's settings
#   /opt/barestream/release.env        which version serves, and by which name: blue or green
#   /opt/barestream/versions           those that have served, the newest last
#   /opt/barestream/releases/VERSION/  what a version has beside its image
#   /opt/barestream/nginx/             nginx's configuration, as its container has it mounted

cd /opt/barestream || exit

# One to go back to, and one more for when that was a mistake.
kept_versions=3

version='' serving=''
# shellcheck source=/dev/null
if [ -f release.env ]; then . ./release.env && version=$BARESTREAM_VERSION serving=$COMPOSE_PROFILES; fi
if [ "$serving" = blue ]; then other=green; else other=blue; fi

# The version that serves, if one does; its name, and the other one.
version() { echo "$version"; }
serving() { echo "$serving"; }
other() { echo "$other"; }

# One step at a time: that of an operator who was cut off goes on to its end.
exec 8>step.lock
flock 8

stop_with() {
    printf '%s\n' "$1" >&2
    exit 1
}

# resolve VERSION: it, or the one before this one; it must be kept.
resolve() {
    local wanted=$1
    [ -f versions ] || stop_with "nothing has served here yet"
    [ -n "$wanted" ] || wanted=$(tail -n 2 versions | head -n 1)
    [ "$wanted" != "$version" ] || stop_with "$version serves already, and none before it is kept"
    grep -qx "$wanted" versions || stop_with "$wanted is not kept here; these are:"$'\n'"$(cat versions)"
    echo "$wanted"
}

# What an earlier run left that was cut off: a candidate, or what was to be drained.
clean_up() {
    if [ -n "$serving" ]; then
        agree_with_release
        restore
    fi
    if [ -n "$(container "$other")" ]; then
        echo "an earlier run was cut off: taking away what it left as $other"
        drain
    fi
    forget
}

# keep VERSION: it serves, from the moment of one rename.
keep() {
    release_env "$1" >release.env.part && mv release.env.part release.env
    version=$1
    read -r serving other <<<"$other $serving"
    agree_with_release
    systemctl start barestream
}

# All else follows release.env; where that was cut off, the next run does it.
agree_with_release() {
    cp "releases/$version/deploy/vm/compose" compose.part && mv compose.part compose
    { [ ! -f versions ] || grep -vx "$version" versions || true; echo "$version"; } >versions.part
    mv versions.part versions
    # The one that serves comes back when the machine restarts, and no other.
    set_restart "$serving" always
    set_restart "$other" no
    rm -rf "nginx.$other"
}

# set_restart SERVICE POLICY: of its container, where there is one.
set_restart() {
    local id
    id=$(container "$1")
    [ -z "$id" ] || docker update --restart "$2" "$id" >/dev/null
}

# Lead back to the one that serves.
restore() {
    lead_to "$serving"
    if [ -d "nginx.$serving" ]; then
        put_nginx "nginx.$serving"
        if [ "${BARESTREAM_TLS:-}" = off ] && has_tls_port; then
            # It was replaced for that, and would lead everybody to TLS.
            replace_nginx "$version" "$PWD/compose" --progress quiet
        elif is_running nginx; then
            reload_nginx
        fi
        rm -rf "nginx.$serving"
    fi
}

# What came of the candidate goes, and nothing else.
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

# settle VERSION: what is left to do when it alone serves.
settle() {
    update_valkey "$1"
    forget
    let_replace_nginx true
    ! is_nginx_outdated "$1" ||
        echo "nginx's container is to have another image, port or limit: rollout --replace-nginx does it"
}

# update_valkey VERSION: Valkey, where it has another image; streams stay open meanwhile.
update_valkey() {
    local wanted
    wanted=$("$PWD/compose" config --images valkey)
    [ "$wanted" != "$(docker inspect --format '{{.Config.Image}}' "$(container valkey)")" ] || return 0
    cp "releases/$1/deploy/valkey-start" valkey-start
    "$PWD/compose" --progress quiet up --detach --wait --no-deps valkey
    echo "Valkey was replaced by $wanted"
}

# Let go of the versions that are not kept.
forget() {
    local tag folder
    [ -f versions ] || : >versions
    tail -n "$kept_versions" versions >versions.part && mv versions.part versions
    docker image ls --format '{{.Tag}}' barestream | while IFS= read -r tag; do
        # A container that somebody made by hand may hold it.
        grep -qx "$tag" versions || docker image rm "barestream:$tag" >/dev/null ||
            echo "barestream:$tag stays"
    done
    for folder in releases/*; do
        [ -d "$folder" ] || continue
        grep -qx "${folder#releases/}" versions || rm -rf "$folder"
    done
}

# compose_for VERSION ARGUMENT...: Compose, as if that version served by the other name.
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
ENV
}

# base_compose VERSION ARGUMENT...: as the settings have it, without blue and green.
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

# is_running SERVICE
is_running() {
    local id
    id=$(container "$1")
    [ -n "$id" ] && [ "$(docker inspect --format '{{.State.Running}}' "$id")" = true ]
}
