# shellcheck shell=bash
# Checks whether a version can go to the VM, and tells its URL. Needs release.sh.

preflight() {
    local docker_version free_mb port served
    [ -f .env ] || stop_with "$PWD/.env is missing: the VM is not provisioned"
    docker_version=$(docker version --format '{{.Server.Version}}')
    [ "${docker_version%%.*}" -ge 25 ] || stop_with "the VM has Docker Engine $docker_version; 25 or newer is needed"
    docker compose version >/dev/null
    free_mb=$(df --output=avail --block-size=1M /var/lib/docker | tail -n 1 | tr -d ' ')
    # For an image, and for its archive while Docker unpacks it.
    [ "$free_mb" -gt 2000 ] || stop_with "/var/lib/docker on the VM has $free_mb MB free; more than 2000 MB are needed"
    port=$(port_in PORT)
    : "${port:=80}"
    if [ -z "$(container nginx)" ] && (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        stop_with "port $port of the VM is taken by another program: stop it, or set BARESTREAM_PORT in $PWD/.env"
    fi
    # Before nginx is replaced by one that no client can reach.
    for port in $(port_in PORT) $(port_in TLS_PORT); do
        firewall_lets_in "$port" || stop_with "the VM's firewall does not open port $port, which $PWD/.env names: deploy/provision opens it"
    done
    served=$(version)
    echo "Docker $docker_version, $free_mb MB free, serving version: ${served:-none yet}"
}

architecture() { docker version --format '{{.Server.Arch}}'; }

# firewall_lets_in PORT: true also if the firewall is not that of deploy/provision.
firewall_lets_in() {
    local rules
    rules=$(nft --stateless list table inet barestream 2>/dev/null) || return 0
    grep 'tcp dport' <<<"$rules" | grep -qw "$1"
}

# port_in SETTING: print the port, or nothing if it is not set. It may be in quotes, with a comment
# behind it; of several lines Compose uses the last.
port_in() { sed -n "s/^BARESTREAM_$1=[\"']\?\([0-9]\+\).*/\1/p" .env | tail -n 1; }

# Whether the history is in Compose's own Valkey, as docker-compose.yml has it by default.
has_own_valkey() {
    ! grep -q '^BARESTREAM_BROKER_URL=' .env ||
        [[ $(broker_url) =~ ^[a-z]+://(.*@)?valkey([:/?#[:space:]].*)?$ ]]
}

# Print BARESTREAM_BROKER_URL. Of several lines Compose uses the last.
broker_url() { sed -n 's/^BARESTREAM_BROKER_URL=//p' .env | tail -n 1 | tr -d "\"'"; }

# default_url HOST REPLACES_NGINX: print the version's URL, by the settings of this machine.
default_url() {
    local scheme=http port
    let_replace_nginx "$2"
    port=$(port_in PORT)
    if [ "$(tls)" = on ]; then
        scheme=https
        port=$(port_in TLS_PORT)
    fi
    echo "$scheme://$1${port:+:$port}"
}
