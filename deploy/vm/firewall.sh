# shellcheck shell=bash
# A firewall that covers the ports that Docker publishes too. Needs item.sh.
#
# Docker forwards a packet for a published port, so the chain "input", which ufw uses, never sees it.
# This chain is earlier: after conntrack, and before Docker rewrites the packet's address.

firewall_file=/etc/barestream-firewall.nft
# nftables.service is not used: it begins with `flush ruleset`, which removes Docker's rules. Nothing
# stops this unit at a shutdown, because containers still run then.
firewall_unit="[Unit]
Description=Firewall that holds for published ports too
DefaultDependencies=no
Wants=network-pre.target
After=nftables.service
Before=network-pre.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft --file $firewall_file
ExecStop=-/usr/sbin/nft delete table inet barestream

[Install]
WantedBy=sysinit.target"
firewall_undo=barestream-firewall-undo
firewall_before=/run/barestream-firewall.before

# open_ports SSH_PORT: print the port that this login used, the ports of sshd, and the service's.
open_ports() {
    {
        printf '%s\n' "$1" 80 443
        sshd -T 2>/dev/null | sed -n 's/^port //p'
        sed -n 's/^BARESTREAM_\(TLS_\)\?PORT=["'"'"']\?\([0-9]\+\).*/\2/p' /opt/barestream/.env 2>/dev/null || true
    } | sort -nu | paste -sd , | sed 's/,/, /g'
}

# With the first two lines the third replaces an earlier table in one transaction.
rules() {
    cat <<NFT
table inet barestream
delete table inet barestream
table inet barestream {
    chain from_outside {
        type filter hook prerouting priority mangle; policy drop;
        ct state established,related accept
        iifname { "lo", "docker0", "br-*" } accept
        meta l4proto { icmp, ipv6-icmp } accept
        udp sport 67 udp dport 68 accept
        ip6 saddr fe80::/10 udp dport 546 accept
        tcp dport { $(open_ports "$1") } accept
    }
}
NFT
}

# canonical RULES: print the rules as nft lists them, so that they can be compared with the loaded ones.
# They are loaded in a network namespace of their own.
canonical() {
    unshare --net sh -c 'nft --file - && nft --stateless list table inet barestream' <<<"$1"
}

loaded() { nft --stateless list table inet barestream 2>/dev/null || true; }

# Load the rules for a minute. firewall_on_boot keeps them, after a new login came through.
load_firewall() {
    local wanted
    wanted=$(rules "$1")
    if command -v nft >/dev/null && [ "$(canonical "$wanted")" = "$(loaded)" ]; then
        ok "firewall: open ports $(open_ports "$1")"
    else
        change "firewall: open ports $(open_ports "$1")" load_for_now "$wanted"
    fi
}

load_for_now() {
    forget_undo
    loaded >$firewall_before
    systemd-run --quiet --unit $firewall_undo --on-active=60 --timer-property=AccuracySec=1s \
        sh -c "nft delete table inet barestream; nft --file $firewall_before"
    nft --file - <<<"$1"
}

forget_undo() { systemctl stop $firewall_undo.timer 2>/dev/null || true; }

undo_firewall() {
    systemctl start $firewall_undo.service
    forget_undo
}

firewall_on_boot() {
    local wanted
    wanted=$(rules "$1")
    ! may_change || forget_undo
    if is_file $firewall_file 644 "$wanted" &&
        is_file /etc/systemd/system/barestream-firewall.service 644 "$firewall_unit" &&
        is_enabled barestream-firewall && systemctl is-active --quiet barestream-firewall; then
        ok "barestream-firewall.service"
    else
        change "barestream-firewall.service on boot" enable_firewall "$wanted"
    fi
}

enable_firewall() {
    write_file $firewall_file 644 "$1"
    write_file /etc/systemd/system/barestream-firewall.service 644 "$firewall_unit"
    systemctl daemon-reload
    systemctl enable --now barestream-firewall
}
