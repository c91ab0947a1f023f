# shellcheck shell=bash
# Settings of the kernel. Needs item.sh. Most of the usual settings of servers are left alone: since
# Linux 5.4 the defaults suffice, and a container has its own.

least_conntrack=262144
kernel_file="# Each stream is an entry, and one for two minutes after its end.
net.netfilter.nf_conntrack_max = $least_conntrack
# Valkey forks to write its log anew: without it a fork may be refused that needs little memory.
vm.overcommit_memory = 1"

kernel() {
    # At boot, conntrack can be set only after its module is loaded.
    keep_file /etc/modules-load.d/barestream.conf "nf_conntrack"
    keep_file /etc/sysctl.d/60-barestream.conf "$kernel_file"
    ! may_change || modprobe nf_conntrack 2>/dev/null || true
    keep_value net.netfilter.nf_conntrack_max $least_conntrack
    keep_value vm.overcommit_memory 1 1
}

keep_file() {
    if is_file "$1" 644 "$2"; then
        ok "$1"
    else
        change "$1" write_file "$1" 644 "$2"
    fi
}

# keep_value KEY LEAST [MOST]: set the value to LEAST if it is outside of the range.
keep_value() {
    local path=/proc/sys/${1//.//} value
    value=$(cat "$path" 2>/dev/null) || value=missing
    if [[ $value =~ ^[0-9]+$ ]] && [ "$value" -ge "$2" ] && [ "$value" -le "${3:-$value}" ]; then
        ok "$1 = $value"
    elif [ -w "$path" ]; then
        change "$1 = $2 (was $value)" set_value "$path" "$2"
    else
        note "$1 is $value and should be $2; this kernel does not allow the change"
    fi
}

set_value() { echo "$2" >"$1"; }
