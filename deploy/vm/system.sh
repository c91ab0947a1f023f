# shellcheck shell=bash
# Checks the machine, and installs the packages. Needs item.sh.

# Docker Engine with start_interval in health checks; Compose with !reset and !override.
least_docker=25
least_compose=2.24.4

is_at_least() { dpkg --compare-versions "$1" ge "$2"; }
is_installed() { [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
has() { command -v "$1" >/dev/null; }

docker_version() { dockerd --version | sed -n 's/^Docker version \([^,]*\).*/\1/p'; }
# Some packages print a v before the version.
compose_version() { docker compose version --short 2>/dev/null | sed s/^v// || true; }

# Check that the service can run here; changes nothing.
system() {
    # On a machine that has just started, cloud-init may still be at work.
    ! has cloud-init || timeout 300 cloud-init status --wait >&2 || true
    case $(uname -m) in
    x86_64 | aarch64) ;;
    *) refuse "the machine's architecture is $(uname -m)" "Take a VM of x86_64 or arm64." ;;
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
        refuse "Docker Engine $docker is installed; $least_docker or newer is needed" \
            "Upgrade it, or take a VM of Debian 13 without Docker."
    compose=$(compose_version)
    if [ -n "$compose" ]; then
        is_at_least "$compose" $least_compose ||
            refuse "Docker Compose $compose is installed; $least_compose or newer is needed" "Upgrade it."
    elif ! is_installed docker.io; then
        refuse "Docker Engine is installed, but not from the distribution, and Compose is missing" \
            "Install it: apt-get install docker-compose-plugin"
    fi
}

# Debian testing has no VERSION_ID.
release_has_recent_docker() {
    local least
    case $ID in
    debian) least=13 ;;
    # Its updates may have a Docker that is new enough; candidate_is_recent checks that.
    ubuntu) least=22.04 ;;
    *) refuse "the system is ${PRETTY_NAME:-$ID}" "Take a VM of Debian 13 or Ubuntu 24.04, or newer." ;;
    esac
    is_at_least "${VERSION_ID:-999}" $least ||
        refuse "the Docker Engine of ${PRETTY_NAME:-$ID $VERSION_ID} is older than $least_docker" \
            "Take a VM of Debian 13 or Ubuntu 24.04, or install Docker's own packages first."
}

# Install the missing packages together.
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
    # On a kernel with AppArmor, Docker needs AppArmor's parser to start a container.
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
    # The daily update may hold the lock of the lists; apt-get waits for dpkg's lock only.
    local said deadline=$((SECONDS + 120))
    until said=$(LC_ALL=C apt-get -qq update 2>&1); do
        if [[ $said != *"Could not get lock"* ]] || [ $SECONDS -ge $deadline ]; then
            refuse "apt-get update failed: ${said%%$'\n'*}" "Check that the VM reaches its package mirror."
        fi
        sleep 2
    done
}

# With --check and before the first update apt has no lists, and the version is not known.
candidate_is_recent() {
    local candidate
    # With --check too, apt-cache would write its caches.
    candidate=$(apt-cache -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= policy docker.io |
        sed -n 's/^ *Candidate: //p')
    if [ -z "$candidate" ] && ! may_change; then return; fi
    is_at_least "${candidate:-0}" $least_docker ||
        refuse "apt offers docker.io ${candidate:-in no version}; $least_docker or newer is needed" \
            "Take a VM of Debian 13 or Ubuntu 24.04, or install Docker's own packages first."
}

install_packages() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 \
        install -y --no-install-recommends "$@"
}
