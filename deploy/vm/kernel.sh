# shellcheck shell=bash
# Settings of the kernel. Needs item.sh. Most of what servers are tuned by is left alone: since
# Linux 5.4 the defaults do, and a container has its own.

least_conntrack=262144
kernel_file="# Each stream is an entry, and one for two minutes after its end.
net.netfilter.nf_conntrack_max = $least_conntrack
# Valkey forks to write its log anew: without it a fork may be refused that needs little memory.
vm.overcommit_memory = 1"

kernel() {
    # Before its module is there, conntrack cannot be set at boot.
    keep_file /etc/modules-load.d/barestream.conf "nf_conntrack"
    keep_file /etc/sysctl.d/60-barestream.conf "$kernel_file"
    # A module's settings are there with the module.
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

# keep_value KEY LEAST [MOST]
keep_value() {
    local path=/proc/sys/${1//.//} value
    value=$(cat "$path" 2>/dev/null) || value="not there"
    if [[ $value =~ ^[0-9]+$ ]] && [ "$value" -ge "$2" ] && [ "$value" -le "${3:-$value}" ]; then
        ok "$1 = $value"
    elif [ -w "$path" ]; then
        change "$1 = $2 (was $value)" set_value "$path" "$2"
    else
        note "$1 is $value, and this kernel does not let it be set"
    fi
}

set_value() { echo "$2" >"$1"; }
