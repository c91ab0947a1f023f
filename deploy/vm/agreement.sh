# shellcheck shell=bash
# Tells in what hosts behind one balancer must agree. Changes nothing. Needs preflight.sh.

# The settings that a host may have of its own: its size, its ports, what is in front of it.
own_settings="ACME APP_MEMORY CERTIFICATES DRAIN_SECONDS HSTS_SECONDS LOG_LEVEL NGINX_MEMORY NOFILE PORT
    RING_BYTES RING_EVENTS STREAMS_PER_WORKER TLS_PORT TRUSTED_PROXIES VALKEY_MEMORY WORKERS"

home=/opt/barestream

# look: print the version that serves and the one before it, and a digest of each setting that must be
# the same on all hosts.
look() {
    local before version
    if ! cd "$home" 2>/dev/null || ! [ -f .env ]; then
        echo "the VM is not provisioned: run deploy/provision" >&2
        return 1
    fi
    if has_own_valkey || [[ $(broker_url) =~ ^local([[:space:]].*)?$ ]]; then
        echo "the history of this VM is on it alone, and several hosts need a Valkey that all of them use:" \
            "set BARESTREAM_BROKER_URL in $PWD/.env of each" >&2
        return 1
    fi
    version=$(sed -n 's/^BARESTREAM_VERSION=//p' release.env 2>/dev/null || true)
    before=$(tail -n 2 versions 2>/dev/null | head -n 1) || true
    [ "$before" != "$version" ] || before=
    printf '%s\n' "version $version" "before $before"
    digests
}

# Of several lines with one name Compose uses the last; quotes around a value are not part of it.
digests() {
    local name value
    local -A values=()
    while IFS='=' read -r name value || [ -n "$name" ]; do values[$name]=$value; done < <(
        sed -n "s/^BARESTREAM_\([A-Z_]*=\)[\"']\?\(.*[^\"']\)\?[\"']\?$/\1\2/p" .env
    )
    for name in "${!values[@]}"; do
        [[ " ${own_settings//$'\n'/ } " == *" $name "* ]] ||
            echo "setting BARESTREAM_$name $(sha256sum <<<"${values[$name]}" | cut -c 1-16)"
    done | sort
}
