# shellcheck shell=bash
# What the machine is, and what has to be installed on it. Needs item.sh.

# live-restore and healthchecks with a start_interval; Compose that takes !override.
least_docker=25
least_compose=2.24.4

is_at_least() { dpkg --compare-versions "$1" ge "$2"; }
is_installed() { [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
has() { command -v "$1" >/dev/null; }

docker_version() { dockerd --version | sed -n 's/^Docker version \([^,]*\).*/\1/p'; }
# Some packages write v2.29.7.
compose_version() { docker compose version --short 2>/dev/null | sed s/^v// || true; }

# See that the service can run here; it reads, and changes nothing.
system() {
    # A machine that just came up is still being set up by its cloud.
    ! has cloud-init || timeout 300 cloud-init status --wait >&2 || true
    case $(uname -m) in
    x86_64 | aarch64) ;;
    *) refuse "this is $(uname -m)" "Take a VM of x86_64 or arm64." ;;
    esac
    [ -d /run/systemd/system ] || refuse "systemd does not run here" "Take a VM that boots systemd."
    # shellcheck source=/dev/null
    . /etc/os-release
    if has dockerd; then
        docker_is_recent
    else
        release_has_recent_docker
    fi
    ok "${PRETTY_NAME:-$ID} on $(uname -m)"
}

docker_is_recent() {
    local docker compose
    docker=$(docker_version)
    is_at_least "$docker" $least_docker ||
        refuse "Docker Engine $docker is installed, and $least_docker is needed" \
            "Upgrade it, or remove it and take a VM of Debian 13."
    compose=$(compose_version)
    if [ -n "$compose" ]; then
        is_at_least "$compose" $least_compose ||
            refuse "Docker Compose $compose is installed, and $least_compose is needed" "Upgrade it."
    elif ! is_installed docker.io; then
        refuse "a Docker Engine of its own is installed, and no Compose" \
            "apt-get install docker-compose-plugin"
    fi
}

# Debian testing has no VERSION_ID.
release_has_recent_docker() {
    local least
    case $ID in
    debian) least=13 ;;
    # Its updates may have a Docker that is new enough; packages looks.
    ubuntu) least=22.04 ;;
    *) refuse "this is ${PRETTY_NAME:-$ID}" "Take a VM of Debian 13 or Ubuntu 24.04, or newer." ;;
    esac
    is_at_least "${VERSION_ID:-999}" $least ||
        refuse "the Docker Engine of ${PRETTY_NAME:-$ID $VERSION_ID} is older than $least_docker" \
            "Take a VM of Debian 13 or Ubuntu 24.04, or install Docker's own packages first."
}

# Install what is missing, in one go.
packages() {
    local missing=() package
    for package in $(wanted_packages); do
        is_installed "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} != 0 ]; then
        ! may_change || update_lists
        [[ " ${missing[*]} " != *" docker.io "* ]] || candidate_is_recent
        change "packages ${missing[*]}" install_packages "${missing[@]}"
    fi
    [ ${#missing[@]} != 0 ] || ok "packages"
    ! has dockerd || ok "Docker Engine $(docker_version), Compose $(compose_version)"
}

wanted_packages() {
    # Docker cannot confine a container without AppArmor's parser, where the kernel has it.
    echo apparmor ca-certificates curl nftables unattended-upgrades
    # shellcheck source=/dev/null
    . /etc/os-release
    has dockerd || echo docker.io
    if [ -z "$(compose_version)" ]; then
        case $ID in
        debian) echo docker-cli docker-compose ;;
        ubuntu) echo docker-compose-v2 ;;
        esac
    fi
}

update_lists() {
    # The daily one may be at it, and apt-get waits for the lock of dpkg alone.
    local said deadline=$((SECONDS + 120))
    until said=$(LC_ALL=C apt-get -qq update 2>&1); do
        if [[ $said != *"Could not get lock"* ]] || [ $SECONDS -ge $deadline ]; then
            refuse "apt-get update: ${said%%$'\n'*}" "See that the VM reaches its mirror."
        fi
        sleep 2
    done
}

# Without lists, before the first update, nothing is known.
candidate_is_recent() {
    local candidate
    # It would write caches, even to tell.
    candidate=$(apt-cache -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= policy docker.io |
        sed -n 's/^ *Candidate: //p')
    if [ -z "$candidate" ] && ! may_change; then return; fi
    is_at_least "${candidate:-0}" $least_docker ||
        refuse "apt's docker.io is ${candidate:-not there}, and $least_docker is needed" \
            "Take a VM of Debian 13 or Ubuntu 24.04, or install Docker's own packages first."
}

install_packages() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 \
        install -y --no-install-recommends "$@"
}
