# shellcheck shell=bash
# Whether a release can go to the VM, and where it will answer. Needs release.sh.

preflight() {
    local docker_version free_mb port served
    [ -f .env ] || stop_with "$PWD/.env is missing: the VM was not provisioned"
    docker_version=$(docker version --format '{{.Server.Version}}')
    [ "${docker_version%%.*}" -ge 25 ] || stop_with "its Docker Engine is $docker_version: 25 or newer is needed"
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
    served=$(version)
    echo "Docker $docker_version, $free_mb MB free, serving: ${served:-nothing yet}"
}

architecture() { docker version --format '{{.Server.Arch}}'; }

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
    let_replace_nginx "$2"
    port=$(port_in PORT)
    if [ "$(tls)" = on ]; then
        scheme=https
        port=$(port_in TLS_PORT)
    fi
    echo "$scheme://$1${port:+:$port}"
}
