# shellcheck shell=bash
# The smoke test where it is nearest: on the VM. Needs connection.sh, and a connection.
# shellcheck disable=SC2154  # its variables are connection.sh's

# smoke_on_vm TOKEN URL [OPTION...]: run deploy/smoke there, as root. It all goes through standard
# input: a command line can be read by every user of the VM.
smoke_on_vm() {
    local token=$1
    shift
    {
        printf 'BARESTREAM_TOKEN=%s\n' "$token"
        cat "$here/operator/progress.sh" "$here/smoke"
    } | "${ssh_command[@]}" "${as_root}bash -s -- $(printf '%q ' "$@")"
}
