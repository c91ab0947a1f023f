# shellcheck shell=bash
# One operator at a time: a lock that lasts as long as the connection that holds it.

# hold HOLDER: take the lock, print "held" and keep it until standard input ends. If another run holds
# the lock, print its holder instead. Prints a line "waiting ..." first if a step of a run that was cut
# off has to end, and "missing" if the VM is not provisioned.
hold() {
    local folder=/opt/barestream
    if ! [ -d "$folder" ]; then
        echo missing
        return
    fi
    exec 9>>"$folder/lock"
    if ! flock --nonblock 9; then
        cat "$folder/lock"
        return
    fi
    printf '%s, since %s\n' "$1" "$(date --utc '+%F %T UTC')" >"$folder/lock"
    exec 8>>"$folder/step.lock"
    if ! flock --nonblock 8; then
        echo "waiting for a step of an earlier run to end"
        flock 8
    fi
    exec 8>&-
    echo held
    cat >/dev/null
}
