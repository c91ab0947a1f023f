# shellcheck shell=bash
# Bringing a version into service, the same for a rollout and a rollback. Needs progress.sh and
# connection.sh.

vm='' wanted='' url='' replaces_nginx=false
# As long as Valkey may take to read a long log in (docker-compose.yml), and some more.
health_seconds=150

# user@host[:port] [VERSION], and options.
read_release_arguments() {
    while [ $# != 0 ]; do
        case $1 in
        --url | --health-seconds)
            [ $# -gt 1 ] || misused "$1: a value is missing"
            if [ "$1" = --url ]; then url=$2; else health_seconds=$2; fi
            shift
            ;;
        --replace-nginx) replaces_nginx=true ;;
        --verbose) be_verbose ;;
        --help)
            usage
            exit
            ;;
        -*) misused "there is no option $1" ;;
        *)
            [ -z "$wanted" ] || misused "$1 is one word too many"
            if [ -z "$vm" ]; then vm=$1; else wanted=$1; fi
            ;;
        esac
        shift
    done
    [ -n "$vm" ] || misused "no VM is named"
}

# on_release FUNCTION ARGUMENT...: on the VM, one step at a time.
on_release() { on_vm release,preflight,shipment,candidate,nginx "$@"; }

# Until it is kept, a version leaves nothing behind.
end() {
    local code=$?
    trap '' INT TERM
    # ssh's own: whatever was asked of the VM.
    if [ "$code" = 255 ]; then
        (fail "the connection broke" "Run it again: it clears up what is left, and goes on.") || code=$?
    fi
    if [ -n "${candidate:-}" ]; then
        printf '%6s s  taking %s away again\n' "$(elapsed_seconds)" "$candidate" >&2
        undo >&2 || say "the next run will clear up" >&2
        # Made anew by the version before, it would have them too.
        ! $replaces_nginx ||
            say "nginx keeps the ports and limits of /opt/barestream/.env if its container was replaced:" \
                "where they are wrong, correct them and run this again" >&2
    fi
    disconnect
    exit "$code"
}

# Not without the lock: somebody else's version would go.
undo() {
    if holds_lock; then
        on_release undo
    else
        (
            trap disconnect EXIT
            forget_lock
            connect "$vm"
            lock "clearing up"
            on_release undo
        )
    fi
}

look_there() {
    attempt "Set it up: deploy/provision $vm" on_release preflight
    url=${url:-$(on_release default_url "$vm_host" "$replaces_nginx")}
}

find_version() {
    local found
    found=$(on_release resolve "$wanted" 2>&1) || fail "$found" "Name one of them, or use deploy/rollout."
    version=$found
    say "$version"
}

# release VERSION: it is on the VM already.
release() {
    local version=$1
    candidate=$version
    step "checking the configuration" \
        attempt "Correct /opt/barestream/.env on the VM, or nginx/." \
        on_release check "$version" "$replaces_nginx"
    step "starting $version beside what serves" \
        attempt "What served still does. Try the version by 'make up' here." \
        on_release start "$version" "$health_seconds"
    step "trying it before anybody else does" try_alone
    step "leading nginx to it" attempt "What served still does." \
        on_release take_over "$version" "$replaces_nginx"
    step "trying it through $url" try_from_here
    step "keeping it" attempt "Run it again." on_release keep "$version"
    candidate=
    step "draining what served" attempt "Run it again." on_release drain
    step "letting go of what is not kept" attempt "Run it again." on_release settle "$version"
}

# On the VM, by its first worker's own socket.
try_alone() {
    local socket
    token=${BARESTREAM_TOKEN:-$(on_release token TOKEN)} ||
        fail "no token could be signed with the VM's key" \
            "Set BARESTREAM_TOKEN to one that may publish and subscribe to barestream/smoke/{run}."
    subscriber_token=${BARESTREAM_SUBSCRIBER_TOKEN:-$(on_release token SUBSCRIBER_TOKEN)} ||
        fail "no token could be signed with the VM's key for subscribers" \
            "Set BARESTREAM_SUBSCRIBER_TOKEN to one that may subscribe to barestream/smoke/{run}."
    socket=$(on_release socket)
    attempt "What served still does." smoke_on_vm --unix-socket "$socket" http://localhost
}

# By standard input: a command line can be read by every user of the VM.
smoke_on_vm() {
    {
        printf 'BARESTREAM_TOKEN=%q BARESTREAM_SUBSCRIBER_TOKEN=%q\n' "$token" "$subscriber_token"
        cat "$(deploy_file operator/progress.sh)" "$(deploy_file smoke)"
    } | on_vm_as_root "bash -s -- $(printf '%q ' "$@")"
}

try_from_here() {
    BARESTREAM_TOKEN=$token BARESTREAM_SUBSCRIBER_TOKEN=$subscriber_token \
        attempt "Is $url where the VM is reached? Else give --url." \
        "$(deploy_file smoke)" "$url"
}
