# shellcheck shell=bash
# The smoke test, in a container of its own. Needs release.sh.

# smoke VERSION SOCKET URL <LINES: try the hub at a unix socket by `barestream smoke`. The first line is
# the token, the second that of subscribers; behind them are the certificates of a private CA, if there
# is one. The container has no network and none of the service's settings.
smoke() {
    local image socket=$2 url=$3 inside=/run/hub.sock
    image=barestream:$(smoke_version "$1")
    # By the environment: every user of this machine can read a command line.
    read -r BARESTREAM_TOKEN
    read -r BARESTREAM_SUBSCRIBER_TOKEN
    export BARESTREAM_TOKEN BARESTREAM_SUBSCRIBER_TOKEN
    # The socket may be for its owner alone.
    # shellcheck disable=SC2016  # the container's
    docker run --rm --interactive --init --network none --read-only --tmpfs /tmp --cap-drop ALL \
        --security-opt no-new-privileges --user "$(stat --format %u:%g "$socket")" \
        --volume "$socket:$inside" --env BARESTREAM_TOKEN --env BARESTREAM_SUBSCRIBER_TOKEN \
        "$image" sh -euc '
            cat >/tmp/authority.pem
            [ ! -s /tmp/authority.pem ] || export SSL_CERT_FILE=/tmp/authority.pem
            exec barestream smoke "$@"' \
        sh --unix "$inside" --url "$url" --retry-seconds 0
}

# smoke_version VERSION: print the version whose image has the command: this one, or another that is
# kept, where this one is of the releases that had a script for it.
smoke_version() {
    local each
    for each in "$1" $([ ! -f versions ] || tac versions); do
        if [ ! -e "releases/$each/deploy/smoke" ]; then
            echo "$each"
            return
        fi
    done
    stop_with "no version that is kept has the command barestream smoke --unix: use the scripts of $1 (git worktree add --detach ../barestream-$1 $1)"
}
