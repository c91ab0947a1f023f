# shellcheck shell=bash
# Items of the machine: each is compared first, and changed only if it differs. The operator sees the
# lines of standard output; the output of commands goes to standard error.

# The operator's lines, also from inside of a command whose output is redirected.
exec 3>&1

may_change=true

# converge CHECK FUNCTION ARGUMENT...: run the function; if CHECK is true it changes nothing.
converge() {
    ! $1 || may_change=false
    shift
    "$@"
}

may_change() { $may_change; }

ok() { printf 'ok: %s\n' "$*"; }
note() { printf 'note: %s\n' "$*"; }

# change ITEM COMMAND...: report the item, and run the command unless nothing may be changed.
change() {
    if may_change; then
        "${@:2}" >&2
        printf 'changed: %s\n' "$1"
    else
        printf 'would change: %s\n' "$1"
    fi
}

# refuse CAUSE REMEDY: report both, each of one line, and exit.
refuse() {
    printf 'refused: %s\t%s\n' "$1" "$2" >&3
    exit 1
}

# is_file PATH MODE CONTENT: whether it is such a file, of root.
is_file() {
    [ -f "$1" ] && [ "$(stat -c '%a %u %g' "$1")" = "$2 0 0" ] && [ "$(cat "$1")" = "$3" ]
}

# write_file PATH MODE CONTENT: by a rename, so that no reader finds half a file.
write_file() {
    (umask 077 && printf '%s\n' "$3" >"$1.new")
    chmod "$2" "$1.new"
    mv "$1.new" "$1"
}

is_enabled() { systemctl is-enabled --quiet "$1" 2>/dev/null; }
