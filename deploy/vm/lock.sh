# shellcheck shell=bash
# One operator at a time: a lock that lasts as long as the connection that holds it.

# hold WHO: print "held" and wait for the end of the standard input, or print who holds it.
hold() {
    local folder=/opt/barestream
    if ! [ -d "$folder" ]; then
        echo "nobody: $folder is missing, the VM was not provisioned"
        return
    fi
    exec 9>>"$folder/lock"
    if ! flock --nonblock 9; then
        cat "$folder/lock"
        return
    fi
    printf '%s, since %s\n' "$1" "$(date --utc '+%F %T UTC')" >"$folder/lock"
    echo held
    cat >/dev/null
}
