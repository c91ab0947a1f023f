# shellcheck shell=bash
# Does the same on several hosts, one after the other, and shows in a table what came of it. A host alone
# is worked on as if there were no table. Needs progress.sh.

# Each as user@host[:port]; the one that is worked on is vm.
hosts=() vm=''

# is_host WORD: whether it is user@host[:port]. A revision of git may be main@{yesterday}.
is_host() { [[ $1 == ?*@?* && $1 != *@\{* ]]; }

# read_hosts OPTION... -- ARGUMENT...: sort the arguments into hosts and options (see read_words).
read_hosts() {
    local word
    read_words "$#" "$@"
    # shellcheck disable=SC2154  # read_words sets it
    for word in "${words[@]}"; do is_host "$word" || misused "there is one argument too many: $word"; done
    hosts=("${words[@]}")
}

are_several() { [ ${#hosts[@]} -gt 1 ]; }

# apart COMMAND...: run it in a shell of its own, which ends where a command fails; code has its exit
# code.
apart() {
    set +e
    (
        set -e
        "$@"
    )
    code=$?
    set -e
}

# shared_file NAME: print the path of a file for all hosts of this run, which are several. Only this user
# may read it.
shared_file() { printf '%s/%s\n' "$shared_folder" "$1"; }

# outcome NAME TEXT: keep what the table says of this host: its version or its state.
outcome() { ! are_several || printf '%s\n' "$2" >"$(shared_file "$vm.$1")"; }

outcome_of() { cat "$(shared_file "$1.$2")" 2>/dev/null || echo "${3--}"; }

# begin_hosts: to be called once, before shared_file.
begin_hosts() {
    are_several || return 0
    shared_folder=$(mktemp -d)
    trap 'rm -rf "$shared_folder"' EXIT
}

# on_hosts FUNCTION: call it for each host. Stop at the first one that fails, with its exit code.
on_hosts() {
    local number=0 began_s
    code=0
    if ! are_several; then
        vm=${hosts[0]}
        "$1"
        return
    fi
    for vm in "${hosts[@]}"; do
        began_s=$SECONDS
        printf '\n%s, host %d of %d\n' "$vm" $((++number)) ${#hosts[@]}
        apart on_one_host "$1"
        outcome seconds $((SECONDS - began_s))
        [ "$code" = 0 ] || break
    done
    show_table
    [ "$code" = 0 ] || stop_at "$vm" $((number - 1))
}

on_one_host() {
    # shellcheck disable=SC2034  # each host's steps have times of their own
    began_at_us=${EPOCHREALTIME/[^0-9]/}
    step_file=$(shared_file "$vm.failed")
    "$1"
    rm -f "$step_file"
}

# on_each_host FUNCTION: call it for each host, also behind one that failed; the exit code is 1 if one did.
on_each_host() {
    local failed=()
    if ! are_several; then
        vm=${hosts[0]}
        "$1"
        return
    fi
    for vm in "${hosts[@]}"; do
        printf '%s\n' "$vm"
        apart "$1"
        [ "$code" = 0 ] || failed+=("$vm")
        echo
    done
    if [ ${#failed[@]} != 0 ]; then
        echo "failed: ${failed[*]}" >&2
        exit 1
    fi
}

show_table() {
    local host width=4
    for host in "${hosts[@]}"; do [ ${#host} -le "$width" ] || width=${#host}; done
    echo
    {
        show_row "$width" host version state seconds 'what failed'
        for host in "${hosts[@]}"; do
            show_row "$width" "$host" "$(outcome_of "$host" version)" "$(state_of "$host")" \
                "$(outcome_of "$host" seconds)" "$(outcome_of "$host" failed '')"
        done
    } | sed 's/ *$//'
}

show_row() { printf '%-*s  %-12s  %-17s  %7s  %s\n' "$@"; }

state_of() {
    if [ -e "$(shared_file "$1.failed")" ]; then
        echo failed
    else
        outcome_of "$1" state untouched
    fi
}

# stop_at HOST DONE: end the script, after so many hosts that are done.
stop_at() {
    {
        # shellcheck disable=SC2154  # progress.sh sets it
        printf '\n%s stopped at %s: %d of %d hosts are done\n' \
            "$program" "$1" "$2" ${#hosts[@]}
        # shellcheck disable=SC2154  # those who read the arguments set it
        printf '  to go on:   correct the cause, and run deploy/%s %s\n' \
            "$program" "${hosts[*]}${version:+ $version}${options[*]:+ ${options[*]}}"
        [ -z "$(changed_hosts)" ] || printf '  to go back: deploy/rollback %s\n' "$(changed_hosts)"
    } >&2
    exit "$code"
}

# Print the hosts that this run has brought another version to.
changed_hosts() {
    local host found=()
    for host in "${hosts[@]}"; do
        [ "$(state_of "$host")" != "rolled out" ] || found+=("$host")
    done
    echo "${found[*]}"
}
