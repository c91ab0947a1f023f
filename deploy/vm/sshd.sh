# shellcheck shell=bash
# The server of ssh. Needs item.sh.

# sshd takes the first value that it reads: before cloud-init's 50-cloud-init.conf.
sshd_file=/etc/ssh/sshd_config.d/10-barestream.conf

# sshd_settings BY_KEY: passwords are refused from now on where this login came by key.
# PermitRootLogin stays the operator's: where it is a no it would be loosened here, and all else
# that it allows is a key.
sshd_settings() {
    # An operator whose network is gone holds the lock for a minute, not for ever.
    local wanted="ClientAliveInterval 15
ClientAliveCountMax 4"
    ! $1 || wanted+="
PasswordAuthentication no
KbdInteractiveAuthentication no"
    if is_file $sshd_file 644 "$wanted" && is_effective "$wanted"; then
        ok "sshd: $sshd_file"
    else
        change "sshd: $sshd_file" set_sshd "$wanted"
    fi
}

is_effective() {
    local effective line
    effective=$(sshd -T)
    while read -r line; do
        grep -qix "$line" <<<"$effective" || return
    done <<<"$1"
}

set_sshd() {
    write_file $sshd_file 644 "$1"
    if ! sshd -t || ! is_effective "$1"; then
        rm $sshd_file
        refuse "$sshd_file is not what sshd goes by" \
            "See what /etc/ssh/sshd_config says before it includes that folder."
    fi
    systemctl reload ssh
}

undo_sshd() {
    rm -f $sshd_file
    systemctl reload ssh
}
