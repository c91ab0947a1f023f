# shellcheck shell=bash
# Compares hosts before the first one is changed: behind one balancer, a client may come to any of them.
# Needs hosts.sh and connection.sh.

# shellcheck disable=SC2154  # hosts and code are those of hosts.sh

# compare_hosts: fail unless each host can be reached, and they agree in what they must (see
# deploy/vm/agreement.sh).
compare_hosts() {
    local host differing
    for host in "${hosts[@]}"; do
        apart look_at "$host"
        [ "$code" = 0 ] || exit "$code"
    done
    for host in "${hosts[@]:1}"; do
        differing=$(diff <(settings_of "${hosts[0]}") <(settings_of "$host") | sed -n 's/^[<>] setting \([^ ]*\) .*/\1/p' | sort -u) || true
        [ -z "$differing" ] || fail "$host has other settings than ${hosts[0]}: ${differing//$'\n'/, }" \
            "Make them the same in /opt/barestream/.env of both. To try settings on one host, name that host alone."
    done
}

look_at() {
    local vm=$1
    trap disconnect EXIT
    connect "$vm"
    on_vm preflight,agreement look >"$(shared_file "$vm.look")" 2>"$(connection_file errors)" ||
        fail "$vm: $(cat "$(connection_file errors)")" "Correct that, and run it again. No host was changed."
}

# looked_up HOST WHAT: print what was found there: version or before.
looked_up() { sed -n "s/^$2 //p" "$(shared_file "$1.look")"; }

settings_of() { grep '^setting ' "$(shared_file "$1.look")" || true; }

# common WHAT: print it where all hosts have the same, and nothing where they differ.
common() {
    local host found
    found=$(for host in "${hosts[@]}"; do looked_up "$host" "$1"; done | sort -u)
    [ "$(wc -l <<<"$found")" != 1 ] || echo "$found"
}
