# shellcheck shell=bash
# Prints progress as steps with their times, and errors with the step, the cause and the remedy.

if ((BASH_VERSINFO[0] < 5)); then
    echo "$(basename "$0") needs bash 5 or newer, and this is bash $BASH_VERSION. Run it with a newer bash." >&2
    exit 1
fi
program=$(basename "$0")
verbose=false
step_name="reading the arguments"
began_at_us=${EPOCHREALTIME/[^0-9]/}

# Print the script's help: the comment at its top, up to the first line that is none.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }

misused() {
    printf '%s: %s\n\n' "$program" "$1" >&2
    usage >&2
    exit 2
}

be_verbose() { verbose=true; }
is_verbose() { $verbose; }

# read_words MOST OPTION... -- ARGUMENT...: sort the arguments into words (user@host[:port] and what
# follows it, at most MOST) and options (those of OPTION... that are given).
read_words() {
    local most=$1 known=' ' argument
    shift
    while [ "$1" != -- ]; do
        known+="$1 "
        shift
    done
    shift
    words=() options=()
    for argument in "$@"; do
        case $argument in
        --help)
            usage
            exit
            ;;
        --verbose) be_verbose ;;
        -*)
            [[ $known == *" $argument "* ]] || misused "there is no option $argument"
            options+=("$argument")
            ;;
        *) words+=("$argument") ;;
        esac
    done
    [[ ${words[0]:-} == ?*@?* ]] || misused "expected a VM as user@host or user@host:port, not '${words[0]:-}'"
    [ ${#words[@]} -le "$most" ] || misused "there is one argument too many: ${words[$most]}"
}

elapsed_seconds() {
    local ms=$(((${EPOCHREALTIME/[^0-9]/} - began_at_us) / 1000))
    printf '%d.%d' $((ms / 1000)) $((ms % 1000 / 100))
}

# step NAME COMMAND...: print the name and run the command. A command that fails ends the script, by
# its own call of fail or by "set -e". The name also goes into the file step_file, if that is set.
step() {
    step_name=$1
    shift
    [ -z "${step_file:-}" ] || printf '%s\n' "$step_name" >"$step_file"
    printf '%6s s  %s\n' "$(elapsed_seconds)" "$step_name"
    "$@"
}

# say WORD...: print a line below the step's.
say() { printf '          %s\n' "$*"; }

# fail CAUSE REMEDY: print both, and end the script.
fail() {
    {
        printf '\n%s failed at: %s\n' "$program" "$step_name"
        printf '  cause:      %s\n' "${1//$'\n'/$'\n'              }"
        printf '  what to do: %s\n' "${2//$'\n'/$'\n'              }"
    } >&2
    exit 1
}

finish() { printf '%6s s  %s\n' "$(elapsed_seconds)" "$1"; }

# trace WORD...: print a command, with --verbose.
trace() { ! is_verbose || printf '          + %s\n' "$*" >&2; }

# run COMMAND...: trace a command and run it.
run() {
    trace "$@"
    "$@"
}

# attempt REMEDY COMMAND...: run a command and show its output; if it fails, its errors are the cause.
attempt() {
    local remedy=$1 errors code cause
    shift
    errors=$(mktemp)
    set +e
    "$@" 2>"$errors" | while IFS= read -r line; do say "$line"; done
    code=${PIPESTATUS[0]}
    set -e
    ! is_verbose || cat "$errors" >&2
    cause=$(sed '/./,$!d' "$errors" | tail -n 12)
    rm "$errors"
    if [ "$code" = 255 ]; then
        : "${cause:=the connection broke}"
        remedy="Run it again: it first clears up what this run left."
    fi
    [ "$code" = 0 ] || fail "${cause:-exit code $code}" "$remedy"
}
