# shellcheck shell=bash
# Brings a version into service, for a rollout and for a rollback. Needs progress.sh, connection.sh,
# hosts.sh and agreement.sh.

wanted='' url='' replaces_nginx=false again=false
# What a further run over the same hosts needs again.
options=()
# Valkey may take 120 s to read a long history (start_period in docker-compose.yml); 30 s more are for
# the app.
health_seconds=150

# read_release_arguments user@host[:port]... [VERSION] [OPTION...]
read_release_arguments() {
    while [ $# != 0 ]; do
        case $1 in
        --url | --health-seconds)
            [ $# -gt 1 ] || misused "$1 needs a value"
            if [ "$1" = --url ]; then url=$2; else health_seconds=$2 options+=("$1 $2"); fi
            shift
            ;;
        --replace-nginx)
            replaces_nginx=true
            options+=("$1")
            ;;
        --again)
            # shellcheck disable=SC2154  # progress.sh sets it
            [ "$program" = rollout ] || misused "there is no option $1"
            again=true
            options+=("$1")
            ;;
        --verbose) be_verbose ;;
        --help)
            usage
            exit
            ;;
        -*) misused "there is no option $1" ;;
        *)
            if [ ${#hosts[@]} = 0 ] || is_host "$1"; then
                hosts+=("$1")
            else
                [ -z "$wanted" ] || misused "there is one argument too many: $1"
                wanted=$1
            fi
            ;;
        esac
        shift
    done
    [ ${#hosts[@]} != 0 ] || misused "the VM is missing: expected user@host or user@host:port"
    ! are_several || [ -z "$url" ] || misused "--url is of one host, and there are ${#hosts[@]}"
}

# on_release FUNCTION ARGUMENT...: run a function of deploy/vm/release.sh, or of those it needs.
on_release() { on_vm release,preflight,shipment,candidate,smoke,nginx "$@"; }

# Remove a version that failed before it was kept.
end() {
    local code=$?
    trap '' INT TERM
    # ssh itself ends with 255.
    if [ "$code" = 255 ]; then
        (fail "the connection broke" "Run it again: it first clears up what this run left.") || code=$?
    fi
    if [ -n "${candidate:-}" ]; then
        printf '%6s s  the run failed: removing %s\n' "$(elapsed_seconds)" "$candidate" >&2
        undo >&2 || say "that failed; the next run clears up" >&2
        # The version before would give its container the same ports and limits: it reads the same .env.
        ! $replaces_nginx ||
            say "note: if nginx's container was replaced, it has the ports and limits of /opt/barestream/.env;" \
                "if they are wrong, correct them and run this again" >&2
    fi
    disconnect
    exit "$code"
}

# Without the lock it could remove another operator's version.
undo() {
    if holds_lock; then
        on_release undo
    else
        (
            trap disconnect EXIT
            forget_lock
            # shellcheck disable=SC2154  # the host that hosts.sh works on
            connect "$vm"
            lock "clearing up"
            on_release undo
        )
    fi
}

look_there() {
    attempt "Correct that, and run this again. To set up a VM: deploy/provision $vm" on_release preflight
    url=${url:-$(on_release default_url "$vm_host" "$replaces_nginx")}
    ! are_several || outcome version "$(on_release version)"
}

# pass_over VERSION: whether this is one of several hosts, and needs no work: it serves the version.
pass_over() {
    are_several && ! $again && on_release serves "$1" "$replaces_nginx" 2>/dev/null || return
    attempt "$1 serves. Run this again: it does the rest." on_release settle "$1"
    outcome state "served it already"
    finish "$1 serves already at $url; with --again it is brought into service again"
}

# end_release DIRECTION: say that the host is done; the direction is out or back.
end_release() {
    outcome state "rolled $1"
    finish "$version serves at $url"
}

find_version() {
    local found
    found=$(on_release resolve "$wanted" 2>&1) || fail "$found" "Name a version that is kept, or use deploy/rollout."
    version=$found
    say "$version"
}

# release VERSION: bring a version into service whose image and files are on the VM.
release() {
    local version=$1
    candidate=$version
    step "checking the configuration" \
        attempt "Correct /opt/barestream/.env on the VM, or nginx/ in the commit." \
        on_release check "$version" "$replaces_nginx"
    step "starting $version beside the one that serves" \
        attempt "The service stays as it was. Try the version on this machine: make up" \
        on_release start "$version" "$health_seconds"
    step "trying it on its own socket" try_alone
    step "switching nginx to it" attempt "The service stays as it was. Correct the cause, and run it again." \
        on_release take_over "$version" "$replaces_nginx"
    step "trying it through $url" try_from_here
    step "recording that it serves" attempt "Run it again." on_release keep "$version"
    candidate=
    outcome version "$version"
    step "draining the version before" attempt "$version serves. Run this again: it removes the version before." on_release drain
    step "updating Valkey if needed, removing old versions" attempt "$version serves. Run this again: it does the rest." on_release settle "$version"
}

# Try the version through the socket of its first worker.
try_alone() {
    local socket
    token=${BARESTREAM_TOKEN:-$(on_release token TOKEN)} ||
        fail "no token could be signed with the VM's key" \
            "Set BARESTREAM_TOKEN to a token that may publish and subscribe to barestream/smoke/{run}."
    subscriber_token=${BARESTREAM_SUBSCRIBER_TOKEN:-$(on_release token SUBSCRIBER_TOKEN)} ||
        fail "no token could be signed with the VM's key for subscribers" \
            "Set BARESTREAM_SUBSCRIBER_TOKEN to a token that may subscribe to barestream/smoke/{run}."
    socket=$(on_release socket)
    attempt "The service stays as it was. Correct the cause, and run it again." \
        smoke "$socket" http://localhost
}

# smoke SOCKET URL: run the smoke test on the VM, at a unix socket there. The tokens go by standard input:
# every user of the VM can read a command line.
smoke() {
    {
        printf '%s\n' "$token" "$subscriber_token"
        [ -z "${SSL_CERT_FILE:-}" ] || cat "$SSL_CERT_FILE"
    } | on_release smoke "$version" "$@"
}

try_from_here() {
    attempt "Follow the advice above, if there is any. If viewers reach the VM at another URL than $url, name it with --url." \
        smoke_from_here
}

# Run the smoke test as a client on this machine. The program is on the VM, so ssh brings its connections
# here, and makes them from here to the URL. So this machine needs neither Python nor the image.
smoke_from_here() (
    [[ $url =~ ^(https?)://(\[[0-9A-Fa-f:.]+\]|[^][/:@?#]+)(:([0-9]+))?(/[^?#]*)?$ ]] || {
        echo "'$url' is no URL of a site: expected one such as https://events.example" >&2
        exit 1
    }
    port=${BASH_REMATCH[4]}
    if [ -z "$port" ]; then if [ "${BASH_REMATCH[1]}" = https ]; then port=443; else port=80; fi; fi
    # Behind ssh a connection that fails has no reason. Without the user's .curlrc and proxy, as ssh
    # connects; the smoke test itself judges the certificate.
    curl --disable --silent --show-error --noproxy '*' --insecure --max-time 5 --output /dev/null "$url" || exit 1
    trap stop_forwarding EXIT
    forward "${BASH_REMATCH[2]}:$port" || exit 1
    # shellcheck disable=SC2154  # forward's
    smoke "$forwarded" "$url"
)
