# shellcheck shell=bash
# The app under the name that does not serve: it is to be tested, or to be drained. Needs release.sh.

# check VERSION REPLACES_NGINX: fail unless the app and nginx accept this machine's settings.
check() {
    local folder=releases/$1/nginx settings name
    name=$(other)
    let_replace_nginx "$2"
    # The app's container is created before the others, because its image sets the owners of the
    # volumes' folders. A Valkey that runs stays as it is.
    [ -f valkey-start ] || cp "releases/$1/deploy/valkey-start" valkey-start
    # The Valkey of a release before these rules runs on without them.
    [ -f valkey-service.acl ] || put_valkey_rules "$1"
    [ -f nginx-start ] || put_nginx_start "$1"
    compose_for "$1" up --no-start --no-recreate --no-build "$name"
    ! has_own_valkey || compose_for "$1" up --detach --wait --no-recreate valkey
    if [ -e "releases/$1/deploy/nginx-start" ]; then
        settings=$(compose_for "$1" run --rm --no-deps --no-TTY "$name" barestream settings --nginx)
        # Names that are no settings: to standard output, which the operator sees even on success. An
        # older release may lack the option.
        compose_for "$1" run --rm --no-deps --no-TTY "$name" \
            sh -c 'barestream settings --check --env-file /dev/stdin 2>&1' <.env || true
        base_compose "$1" run --rm --no-deps --no-TTY nginx nginx-start check <<<"$settings"
        # A Valkey of the VM's own has a health check. A release without this file has no such command.
        has_own_valkey || [ ! -e "releases/$1/deploy/other-valkey.yml" ] ||
            compose_for "$1" run --rm --no-deps --no-TTY "$name" barestream probe
        return
    fi
    # The app of an older release writes no settings for nginx: its nginx reads them from a file.
    compose_for "$1" run --rm --no-deps --no-TTY "$name" barestream settings --check
    base_compose "$1" run --rm --no-deps --no-TTY nginx \
        nginx -p /run/nginx -c /etc/nginx/nginx.conf -t -q >/dev/null
    base_compose "$1" run --rm --no-deps --no-TTY --entrypoint env nginx |
        sed -n "/^BARESTREAM_/{s/'/'\\\\''/g;s/=\(.*\)/='\1'/p}" | sort >"$folder/settings.envsh"
}

# start VERSION SECONDS: start it, and wait until each worker accepts streams with its ring filled.
start() {
    local id state health deadline name
    name=$(other)
    id=$(container "$name")
    # A machine that restarts meanwhile does not start it.
    set_restart "$name" no
    # A release that had this name before may have left one.
    rm -f "$(sockets)/$name/nginx.env"
    docker start "$id" >/dev/null
    deadline=$((SECONDS + $2))
    while [ "$SECONDS" -lt "$deadline" ]; do
        read -r state health <<<"$(docker inspect --format '{{.State.Status}} {{.State.Health.Status}}' "$id")"
        case $state:$health in
        running:healthy) return ;;
        running:*) sleep 0.5 ;;
        *) stop_with "the app ended with exit code $(docker inspect --format '{{.State.ExitCode}}' "$id"); its last log lines:"$'\n'"$(last_words)" ;;
        esac
    done
    stop_with "the app was not healthy within $2 s:"$'\n'"$(docker exec "$id" barestream health 2>&1)"$'\n'"its last log lines:"$'\n'"$(last_words)"
}

# Print the app's last errors, or its last lines if it logged no error: of each line the beginning, and
# the end, which has the exception.
last_words() {
    local said
    said=$(docker logs "$(container "$(other)")" 2>&1)
    { grep -E '"level": "(ERROR|CRITICAL)"' <<<"$said" || printf '%s\n' "$said"; } |
        tail -n 5 | sed -E 's/^(.{120}).*(.{200})$/\1 ... \2/'
}

# Print the path of its first worker's socket.
socket() { echo "$(sockets)/$(other)/0.sock"; }

# token KIND: print a token for the smoke test. KIND is TOKEN to publish or SUBSCRIBER_TOKEN to
# subscribe. It prints nothing without that key; and in Mercure 1.0 alone without an issuer, or without
# BARESTREAM_RESOURCE_IDENTIFIER, because the smoke test on the VM comes to no public URL.
token() {
    docker exec "$(container "$(other)")" sh -euc '
        [ -n "${BARESTREAM_'"$1"'_KEY-}${BARESTREAM_'"$1"'_KEY_FILE-}" ] || exit 0
        export BARESTREAM_TOKEN_KEY="${BARESTREAM_'"$1"'_KEY-}"
        export BARESTREAM_TOKEN_KEY_FILE="${BARESTREAM_'"$1"'_KEY_FILE-}"
        export BARESTREAM_TOKEN_ALGORITHM="${BARESTREAM_'"$1"'_ALGORITHM:-HS256}"
        case ${BARESTREAM_PROTOCOLS:-0.x} in
            *0.x*) exec barestream token --publish "barestream/smoke/{+any}" \
                --subscribe "barestream/smoke/{+any}" --minutes 15 ;;
        esac
        [ -n "${BARESTREAM_ISSUER-}" ] && [ -n "${BARESTREAM_RESOURCE_IDENTIFIER-}" ] || exit 0
        exec barestream token --protocol 1.0 --publish-pattern "barestream/smoke/*" \
            --subscribe-pattern "barestream/smoke/*" --minutes 15'
}

# End the streams of the app that does not serve, evenly over BARESTREAM_DRAIN_SECONDS, and remove it.
drain() {
    local id stopping seconds=0
    id=$(container "$(other)")
    [ -n "$id" ] || return 0
    docker stop "$id" >/dev/null &
    stopping=$!
    while sleep 1 && kill -0 "$stopping" 2>/dev/null; do
        [ $((++seconds % 5)) != 0 ] || echo "$(streams_left) streams left"
    done
    wait "$stopping"
    docker rm "$id" >/dev/null
}

# Count the connected (03) sockets to that app's workers in the kernel's table, in nginx's container.
streams_left() { docker exec "$(container nginx)" grep -c " 03 .*/$(other)/" /proc/net/unix || true; }
