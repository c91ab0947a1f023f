# shellcheck shell=bash
# What a rollout and a rollback do on the VM.
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

# Whether this run may make nginx's container anew: its steps are told.
replaces_nginx=false

# One step at a time: that of an operator who was cut off goes on to its end.
exec 8>step.lock
flock 8

stop_with() {
    printf '%s\n' "$1" >&2
    exit 1
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

# With a certificate, nginx is given TLS when its container is made anew, and not before: a port is
# opened with a container.
tls() {
    if [ -e certificates/current ] && { $replaces_nginx || ! is_running nginx || has_tls_port; }; then
        echo on
    else
        echo off
    fi
}

has_tls_port() { docker port "$(container nginx)" 443 >/dev/null 2>&1; }

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

# --- Before anything is changed.

preflight() {
    local engine free_mb port
    [ -f .env ] || stop_with "$PWD/.env is missing: the VM was not provisioned"
    engine=$(docker version --format '{{.Server.Version}}')
    [ "${engine%%.*}" -ge 25 ] || stop_with "its Docker Engine is $engine: 25 or newer is needed"
    docker compose version >/dev/null
    free_mb=$(df --output=avail --block-size=1M /var/lib/docker | tail -n 1 | tr -d ' ')
    # An image, and its archive while it is unpacked.
    [ "$free_mb" -gt 2000 ] || stop_with "/var/lib/docker has $free_mb MB left: 2000 are needed"
    port=$(port_in PORT)
    : "${port:=80}"
    if [ -z "$(container nginx)" ] && (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        stop_with "port $port is taken by another program"
    fi
    # Or nginx would be replaced by one that nobody reaches.
    for port in $(port_in PORT) $(port_in TLS_PORT); do
        firewall_lets_in "$port" || stop_with "its firewall does not let port $port in"
    done
    echo "engine $engine, $free_mb MB free, serving: ${version:-nothing yet}"
}

# firewall_lets_in PORT: where it is the one of deploy/provision.
firewall_lets_in() {
    local rules
    rules=$(nft --stateless list table inet barestream 2>/dev/null) || return 0
    grep 'tcp dport' <<<"$rules" | grep -qw "$1"
}

# port_in SETTING: nothing where it is not set. Quotes and a comment may stand around it, and Compose
# takes the last one.
port_in() { sed -n "s/^BARESTREAM_$1=[\"']\?\([0-9]\+\).*/\1/p" .env | tail -n 1; }

# default_url HOST REPLACES_NGINX: where the version will answer, as far as this machine knows.
default_url() {
    local scheme=http port
    replaces_nginx=$2
    port=$(port_in PORT)
    if [ "$(tls)" = on ]; then
        scheme=https
        port=$(port_in TLS_PORT)
    fi
    echo "$scheme://$1${port:+:$port}"
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

# The layers that the engine has, as docker save names them.
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

has_image() { docker image inspect "barestream:$1" >/dev/null 2>&1; }

# unpack VERSION <TAR
unpack() {
    local folder=releases/$1
    rm -rf "$folder.part" && mkdir -p "$folder.part"
    tar --extract --no-same-owner --directory "$folder.part"
    # nginx and Valkey are users of their own.
    chmod -R u=rwX,go=rX "$folder.part"
    rm -rf "$folder" && mv "$folder.part" "$folder"
}

# The images beside the app's own that the engine lacks.
missing_images() {
    local image images
    images=$(base_compose "$1" config --images)
    for image in $images; do
        [ "$image" = barestream ] || docker image inspect "$image" >/dev/null 2>&1 || echo "$image"
    done
}

# base_compose VERSION ARGUMENT...: as the settings have it, without blue and green.
base_compose() {
    local folder=releases/$1 overlay=()
    [ "$(tls)" = off ] || overlay=(--file "$folder/deploy/tls.yml")
    BARESTREAM_CERTIFICATES=$PWD/certificates BARESTREAM_ACME=$PWD/acme \
        docker compose --progress quiet --project-name barestream --project-directory "$folder" \
        --env-file .env --file "$folder/docker-compose.yml" "${overlay[@]}" "${@:2}"
}

# check VERSION REPLACES_NGINX: whether app and nginx take this machine's settings.
check() {
    local folder=releases/$1/nginx
    replaces_nginx=$2
    # Made, not started: the app's image says whose the folders in the volumes are. Valkey is left
    # alone where it is there.
    [ -f valkey-start ] || cp "releases/$1/deploy/valkey-start" valkey-start
    compose_for "$1" up --no-start --no-recreate --no-build "$other"
    compose_for "$1" up --detach --wait --no-recreate valkey
    compose_for "$1" run --rm --no-deps --no-TTY "$other" barestream settings --check
    base_compose "$1" run --rm --no-deps --no-TTY nginx \
        nginx -p /run/nginx -c /etc/nginx/nginx.conf -t -q >/dev/null
    # What its container would be given: a reload reads it from here.
    base_compose "$1" run --rm --no-deps --no-TTY --entrypoint env nginx |
        sed -n "/^BARESTREAM_/{s/'/'\\\\''/g;s/=\(.*\)/='\1'/p}" | sort >"$folder/settings.envsh"
}

# --- A version beside the one that serves.

# start VERSION SECONDS: until each of its workers takes streams, with its ring filled.
start() {
    local id state health deadline
    id=$(container "$other")
    # A machine that restarts meanwhile comes back without it.
    set_restart "$other" no
    docker start "$id" >/dev/null
    deadline=$((SECONDS + $2))
    while [ "$SECONDS" -lt "$deadline" ]; do
        read -r state health <<<"$(docker inspect --format '{{.State.Status}} {{.State.Health.Status}}' "$id")"
        case $state:$health in
        running:healthy) return ;;
        running:*) sleep 0.5 ;;
        *) stop_with "it ended with exit code $(docker inspect --format '{{.State.ExitCode}}' "$id"); its last words:"$'\n'"$(last_words)" ;;
        esac
    done
    stop_with "it was not healthy within $2 s:"$'\n'"$(docker exec "$id" barestream health 2>&1)"$'\n'"its last words:"$'\n'"$(last_words)"
}

# Its last errors, or what else it said last: of each the begin, and the end, which has the
# exception.
last_words() {
    local said
    said=$(docker logs "$(container "$other")" 2>&1)
    { grep -E '"level": "(ERROR|CRITICAL)"' <<<"$said" || printf '%s\n' "$said"; } |
        tail -n 5 | sed -E 's/^(.{120}).*(.{200})$/\1 ... \2/'
}

# The socket of its first worker.
socket() { echo "$(sockets)/$other/0.sock"; }

sockets() { docker volume inspect --format '{{.Mountpoint}}' barestream_sockets; }

# token KIND: a token for the smoke test, TOKEN to publish and SUBSCRIBER_TOKEN to subscribe; nothing
# where there is no such key.
token() {
    docker exec "$(container "$other")" sh -euc '
        [ -n "${BARESTREAM_'"$1"'_KEY-}${BARESTREAM_'"$1"'_KEY_FILE-}" ] || exit 0
        export BARESTREAM_TOKEN_KEY="${BARESTREAM_'"$1"'_KEY-}"
        export BARESTREAM_TOKEN_KEY_FILE="${BARESTREAM_'"$1"'_KEY_FILE-}"
        export BARESTREAM_TOKEN_ALGORITHM="${BARESTREAM_'"$1"'_ALGORITHM:-HS256}"
        exec barestream token --publish "barestream/smoke/{+any}" \
            --subscribe "barestream/smoke/{+any}" --minutes 15'
}

# take_over VERSION REPLACES_NGINX: nginx leads to it from here on; what was connected stays where
# it is, unless nginx itself is replaced.
take_over() {
    replaces_nginx=$2
    lead_to "$other"
    if ! is_running nginx; then
        change_nginx "releases/$1/nginx"
        compose_for "$1" up --detach --wait --no-deps nginx
        echo "nginx was started"
    elif $replaces_nginx && is_nginx_outdated "$1"; then
        change_nginx "releases/$1/nginx"
        # Its streams are cut, and come back to this version.
        compose_for "$1" up --detach --wait --no-deps --timeout 1 nginx
        echo "nginx's container was replaced"
    elif ! diff -rq --exclude conf.d "releases/$1/nginx" nginx >/dev/null; then
        change_nginx "releases/$1/nginx"
        reload_nginx
        echo "nginx's configuration has changed: reloaded"
    fi
}

# change_nginx FOLDER: what is live stays beside it, as what serves has it, for as long as that serves.
change_nginx() {
    if [ -n "$serving" ] && [ -d nginx ]; then
        rm -rf nginx.part "nginx.$serving" && cp -a nginx nginx.part && mv nginx.part "nginx.$serving"
    fi
    put_nginx "$1"
}

# is_nginx_outdated VERSION: whether its container is no longer what that version would make.
is_nginx_outdated() {
    local made_as
    made_as=$(docker inspect --format '{{index .Config.Labels "com.docker.compose.config-hash"}}' "$(container nginx)")
    [ "$(compose_for "$1" config --hash nginx)" != "nginx $made_as" ]
}

# nginx finds the old link or the new one, at its next connect.
lead_to() {
    local folder
    folder=$(sockets)
    ln --symbolic --force --no-dereference "$1" "$folder/next"
    mv --no-target-directory "$folder/next" "$folder/current"
}

# put_nginx FOLDER: in place, because its container has the folder mounted, and in it conf.d.
put_nginx() {
    local file
    mkdir -p nginx
    cp -a "$1/." nginx/
    find nginx -type f -not -path 'nginx/conf.d/*' -printf '%P\n' | while IFS= read -r file; do
        [ -e "$1/$file" ] || rm "nginx/$file"
    done
}

reload_nginx() {
    # shellcheck disable=SC2016  # the container's shell
    docker exec "$(container nginx)" sh -euc '
        . /etc/nginx/upstream.envsh
        /docker-entrypoint.d/20-envsubst-on-templates.sh >/dev/null
        nginx -p /run/nginx -c /etc/nginx/nginx.conf -t -q
        kill -HUP "$(cat /run/nginx/nginx.pid)"'
}

# --- One of the two goes.

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
            "$PWD/compose" --progress quiet up --detach --wait --no-deps --timeout 1 nginx
        elif is_running nginx; then
            reload_nginx
        fi
        rm -rf "nginx.$serving"
    fi
}

# End the other's streams, evenly over BARESTREAM_DRAIN_SECONDS, and take it away.
drain() {
    local id stopping seconds=0
    id=$(container "$other")
    [ -n "$id" ] || return 0
    docker stop "$id" >/dev/null &
    stopping=$!
    while sleep 1 && kill -0 "$stopping" 2>/dev/null; do
        [ $((++seconds % 5)) != 0 ] || echo "$(streams_left) streams left"
    done
    wait "$stopping"
    docker rm "$id" >/dev/null
}

# By the kernel's table of sockets where nginx is: those that are connected (03) to a worker's.
streams_left() { docker exec "$(container nginx)" grep -c " 03 .*/$other/" /proc/net/unix || true; }

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

# update_engine VERSION: Valkey, where it has another image; streams stay open meanwhile.
update_engine() {
    local wanted
    wanted=$("$PWD/compose" config --images valkey)
    [ "$wanted" != "$(docker inspect --format '{{.Config.Image}}' "$(container valkey)")" ] || return 0
    cp "releases/$1/deploy/valkey-start" valkey-start
    "$PWD/compose" --progress quiet up --detach --wait --no-deps valkey
    echo "Valkey was replaced by $wanted"
}

# settle VERSION: what is left to do when it alone serves.
settle() {
    update_engine "$1"
    forget
    replaces_nginx=true
    ! is_nginx_outdated "$1" ||
        echo "nginx's container is to have another image, port or limit: rollout --replace-nginx does it"
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
