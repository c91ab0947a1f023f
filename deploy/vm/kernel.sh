# shellcheck shell=bash
# Settings of the kernel. Needs item.sh. Most of what servers are tuned by is left alone: since
# Linux 5.4 the defaults do, and a container has its own.

# Its values are the least ones; the second column says why to whoever finds it on the machine.
kernel_file="# Each stream is an entry, and one for two minutes after its end.
net.netfilter.nf_conntrack_max = 262144
# Valkey forks to write its log anew: with less it may be refused half of the memory.
vm.overcommit_memory = 1"

kernel() {
    # Before its module is there, conntrack cannot be set at boot.
    keep_file /etc/modules-load.d/barestream.conf "nf_conntrack"
    keep_file /etc/sysctl.d/60-barestream.conf "$kernel_file"
    local key equals least
    while read -r key equals least; do
        [ "$equals" != = ] || keep_value "$key" "$least"
    done <<<"$kernel_file"
}

keep_file() {
    if is_file "$1" 644 "$2"; then
        ok "$1"
    else
        change "$1" write_file "$1" 644 "$2"
    fi
}

keep_value() {
    local key=$1 least=$2 path=/proc/sys/${1//.//} value
    # A module's setting is there with the module.
    $check || [ -e "$path" ] || modprobe nf_conntrack 2>/dev/null || true
    value=$(cat "$path" 2>/dev/null) || value="not there"
    if [[ $value =~ ^[0-9]+$ ]] && [ "$value" -ge "$least" ]; then
        ok "$key = $value"
    elif [ -w "$path" ]; then
        change "$key = $least (was $value)" set_value "$path" "$least"
    else
        note "$key is $value, and this kernel does not let it be set"
    fi
}

set_value() { echo "$2" >"$1"; }
