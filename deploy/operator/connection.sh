# shellcheck shell=bash
# One connection to the VM, that everything goes through. Needs progress.sh, and the folder
# deploy/ in here.
#
# DEPLOY_SSH is the client, ssh, with what options the VM needs.

read -ra ssh_command <<<"${DEPLOY_SSH:-ssh}"

# connect user@host[:port] [OPTION...]: by key alone, unless the options say otherwise.
connect() {
    local target=$1 said
    shift
    vm_host=${target#*@}
    vm_host=${vm_host%:*}
    connection_folder=$(mktemp -d)
    ssh_command+=(
        -o "ControlPath=$connection_folder/socket"
        # A network that is gone is noticed in half a minute.
        -o ServerAliveInterval=10 -o ServerAliveCountMax=3 -o ConnectTimeout=10
    )
    if [ "${target##*:}" != "$target" ]; then ssh_command+=(-p "${target##*:}"); fi
    ssh_command+=("${target%:*}")
    [ $# != 0 ] || set -- -o BatchMode=yes -o PreferredAuthentications=publickey
    if ! said=$(run "${ssh_command[@]:0:1}" "$@" -o ControlMaster=yes -o ControlPersist=60 \
        "${ssh_command[@]:1}" id -u 2>&1); then
        fail "ssh to $target: $said" "See that ssh to $target works by a key, without a question."
    fi
    as_root=
    if [ "${said##*$'\n'}" != 0 ]; then
        as_root="sudo -n "
        "${ssh_command[@]}" sudo -n true 2>/dev/null ||
            fail "$target may not become root by sudo without a password" \
                "Name root, or a user with NOPASSWD in sudoers."
    fi
}

disconnect() {
    [ -n "${connection_folder:-}" ] || return 0
    "${ssh_command[@]}" -O exit 2>/dev/null || true
    rm -rf "$connection_folder"
}

# on_vm FILE FUNCTION ARGUMENT...: run a function of deploy/vm/FILE.sh on the VM, as root; its
# standard input is this one's.
on_vm() {
    local file=$1
    shift
    ! $verbose || printf '          + on the VM: %s\n' "$*" >&2
    local script
    script="set -euo pipefail; $(cat "$here/vm/$file.sh")"$'\n'"$(printf '%q ' "$@")"
    on_vm_as_root "bash -c $(printf %q "$script")"
}

on_vm_as_root() { "${ssh_command[@]}" "$as_root$1"; }

# lock PURPOSE: nobody else changes this VM until this script is gone, or its connection.
lock() {
    local answer
    coproc LOCK { on_vm lock hold "$(git config user.name || id -un) on $(hostname) for $1"; }
    read -r answer <&"${LOCK[0]}" || answer="nobody: it gave no answer"
    [ "$answer" = held ] || fail "locked by $answer" "Wait until that run has ended."
}
