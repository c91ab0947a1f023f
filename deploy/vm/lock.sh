# shellcheck shell=bash
# One operator at a time: a lock that lasts as long as the connection that holds it.

# hold WHO: print "held" and wait for the end of the standard input, or print who holds it. Before
# that comes a line where a step has to end whose operator was cut off; "missing" where there is
# nothing to lock.
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
