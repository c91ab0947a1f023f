# shellcheck shell=bash
# The one connection to the VM that all commands go through. Needs progress.sh.
#
# DEPLOY_SSH is the ssh command with its options; by default ssh.

# deploy_file PATH: print the path of a file of deploy/.
deploy_file() { printf '%s/%s\n' "$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)" "$1"; }

# connect user@host[:port]: log in with a key.
connect() {
    try_connect "$1" -o BatchMode=yes -o PreferredAuthentications=publickey ||
        fail "ssh to $1 failed: $connection_error" "Make ssh to $1 work with a key, so that it asks nothing."
    become_root
}

# try_connect user@host[:port] [OPTION...]: connect; if that fails, connection_error has ssh's error.
try_connect() {
    local target=$1 said
    shift
    vm_name=$target
    vm_host=${target#*@}
    vm_host=${vm_host%:*}
    disconnect
    connection_folder=$(mktemp -d)
    read -ra ssh_command <<<"${DEPLOY_SSH:-ssh}"
    ssh_command+=(
        -o "ControlPath=$connection_folder/socket"
        # A lost network is noticed within half a minute.
        -o ServerAliveInterval=10 -o ServerAliveCountMax=3 -o ConnectTimeout=10
    )
    if [ "${target##*:}" != "$target" ]; then ssh_command+=(-p "${target##*:}"); fi
    ssh_command+=("${target%:*}")
    trace "${ssh_command[@]}"
    if said=$("${ssh_command[0]}" "$@" -o ControlMaster=yes -o ControlPersist=60 \
        "${ssh_command[@]:1}" id -u 2>&1); then
        user_id=${said##*$'\n'}
    else
        connection_error=$said
        return 1
    fi
}

become_root() {
    as_root=
    if [ "$user_id" != 0 ]; then
        as_root="sudo -n "
        "${ssh_command[@]}" sudo -n true 2>/dev/null ||
            fail "$vm_name cannot become root: 'sudo -n true' failed" \
                "Log in as root, or as a user with NOPASSWD in sudoers."
    fi
}

# Whether the VM accepts a connection of its own, beside the shared one.
can_connect_anew() { run "${ssh_command[0]}" "$@" -o ControlPath=none "${ssh_command[@]:1}" true; }

disconnect() {
    [ -n "${connection_folder:-}" ] || return 0
    "${ssh_command[@]}" -O exit 2>/dev/null || true
    rm -rf "$connection_folder"
}

# connection_file NAME: print the path of a file that disconnect removes.
connection_file() { printf '%s/%s\n' "$connection_folder" "$1"; }

# on_vm FILE[,FILE] FUNCTION ARGUMENT...: run a function of deploy/vm/FILE.sh on the VM, as root,
# with the standard input of this call.
on_vm() {
    local files file script="set -euo pipefail"
    IFS=, read -ra files <<<"$1"
    shift
    trace "on the VM: $*"
    for file in "${files[@]}"; do script+=$'\n'$(cat "$(deploy_file "vm/$file.sh")"); done
    script+=$'\n'$(printf '%q ' "$@")
    on_vm_as_root "bash -c $(printf %q "$script")"
}

on_vm_as_root() {
    if ! holds_lock; then
        echo "the connection broke, and the lock was lost with it" >&2
        return 255
    fi
    "${ssh_command[@]}" "$as_root$1"
}

forwarded='' forwarded_to=''

# forward HOST:PORT: have ssh listen at a unix socket on the VM, forwarded; each connection to it becomes
# one from this machine to there.
forward() {
    local folder
    folder=$("${ssh_command[@]}" mktemp -d) || return
    forwarded=$folder/from-here.sock forwarded_to=$1
    "${ssh_command[@]}" -O forward -R "$forwarded:$forwarded_to" && return
    echo "the VM's sshd forwards no socket: in its settings AllowTcpForwarding and AllowStreamLocalForwarding must be yes, and DisableForwarding no" >&2
    return 1
}

stop_forwarding() {
    [ -n "$forwarded" ] || return 0
    {
        "${ssh_command[@]}" -O cancel -R "$forwarded:$forwarded_to" || true
        "${ssh_command[@]}" rm -rf "${forwarded%/*}" || true
    } 2>/dev/null
}

# Whether the lock is still held; a script that takes no lock cannot lose it.
holds_lock() { [ -z "${lock_pid:-}" ] || kill -0 "$lock_pid" 2>/dev/null; }

# Forget a lost lock, so that on_vm works again.
forget_lock() { lock_pid=; }

# lock PURPOSE: no other run changes this VM until this script or its connection ends.
lock() {
    local answer
    coproc LOCK { on_vm lock hold "$(git -C "$(deploy_file .)" config user.name || id -un) on $(hostname) for $1"; }
    while read -r answer <&"${LOCK[0]}"; do
        case $answer in
        held)
            # shellcheck disable=SC2153  # the coprocess's
            lock_pid=$LOCK_PID
            return
            ;;
        missing) fail "$vm_name is not provisioned: /opt/barestream is missing" "Run deploy/provision $vm_name." ;;
        waiting*) say "$answer" ;;
        *) fail "another run holds the lock: $answer" "Wait until that run has ended." ;;
        esac
    done
    fail "the VM did not answer the request for the lock" "Run it again."
}
