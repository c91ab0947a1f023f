# shellcheck shell=bash
# Items of the machine: each is compared first, and changed only where it differs. A line of
# standard output is told to the operator; what commands say goes to standard error.

# What is told, also in the midst of a command whose words are not.
exec 3>&1

may_change=true

# converge CHECK FUNCTION ARGUMENT...: CHECK is true where nothing may be changed.
converge() {
    ! $1 || may_change=false
    shift
    "$@"
}

may_change() { $may_change; }

ok() { printf 'ok: %s\n' "$*"; }
note() { printf 'note: %s\n' "$*"; }

# change ITEM COMMAND...
change() {
    if may_change; then
        "${@:2}" >&2
        printf 'changed: %s\n' "$1"
    else
        printf 'would change: %s\n' "$1"
    fi
}

# refuse CAUSE REMEDY: end it all, with one line each.
refuse() {
    printf 'refused: %s\t%s\n' "$1" "$2" >&3
    exit 1
}

# is_file PATH MODE CONTENT
is_file() {
    [ -f "$1" ] && [ "$(stat -c '%a %u %g' "$1")" = "$2 0 0" ] && [ "$(cat "$1")" = "$3" ]
}

# Beside it first: a file is never there by half.
write_file() {
    (umask 077 && printf '%s\n' "$3" >"$1.new")
    chmod "$2" "$1.new"
    mv "$1.new" "$1"
}

is_enabled() { systemctl is-enabled --quiet "$1" 2>/dev/null; }
