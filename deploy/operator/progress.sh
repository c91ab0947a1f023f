# shellcheck shell=bash
# Progress as steps with their times; errors that name the step, the cause and what to do.

if ((BASH_VERSINFO[0] < 5)); then
    echo "bash 5 is needed, and this is $BASH_VERSION: bash deploy/$(basename "$0"), with a newer one" >&2
    exit 1
fi
program=$(basename "$0")
verbose=false
step_name="reading its arguments"
began_at_us=${EPOCHREALTIME/[^0-9]/}

# Print what the script says of itself at its top: its comment, as far as the first empty line.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }

misused() {
    printf '%s: %s\n\n' "$program" "$1" >&2
    usage >&2
    exit 2
}

be_verbose() { verbose=true; }
is_verbose() { $verbose; }

# read_words MOST OPTION... -- ARGUMENT...: take user@host[:port], and what may stand behind it, into
# words, at most so many; those of the options that are given, into options.
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
    [[ ${words[0]:-} == ?*@?* ]] || misused "expected a VM, as user@host or user@host:port"
    [ ${#words[@]} -le "$most" ] || misused "${words[$most]} is one word too many"
}

elapsed_seconds() {
    local ms=$(((${EPOCHREALTIME/[^0-9]/} - began_at_us) / 1000))
    printf '%d.%d' $((ms / 1000)) $((ms % 1000 / 100))
}

# step NAME COMMAND...: run a command as a step; it ends the script by fail where it does not
# succeed, or here.
step() {
    step_name=$1
    shift
    printf '%6s s  %s\n' "$(elapsed_seconds)" "$step_name"
    "$@"
}

# A line of its own below the step's.
say() { printf '          %s\n' "$*"; }

# fail CAUSE REMEDY: end the script with both.
fail() {
    {
        printf '\n%s failed at: %s\n' "$program" "$step_name"
        printf '  cause:      %s\n' "${1//$'\n'/$'\n'              }"
        printf '  what to do: %s\n' "${2//$'\n'/$'\n'              }"
    } >&2
    exit 1
}

finish() { printf '%6s s  %s\n' "$(elapsed_seconds)" "$1"; }

# trace WORD...: what --verbose shows.
trace() { ! is_verbose || printf '          + %s\n' "$*" >&2; }

# run COMMAND...: a command that --verbose shows.
run() {
    trace "$@"
    "$@"
}

# attempt REMEDY COMMAND...: what it says is shown; where it fails, its errors are the cause.
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
        remedy="Run it again: it clears up what is left, and goes on."
    fi
    [ "$code" = 0 ] || fail "${cause:-exit code $code}" "$remedy"
}
