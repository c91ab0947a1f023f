# shellcheck shell=bash
# The ssh server's settings. Needs item.sh.

# sshd uses the first value that it reads, so the name sorts before cloud-init's 50-cloud-init.conf.
sshd_file=/etc/ssh/sshd_config.d/10-barestream.conf

# sshd_settings BY_KEY: refuse passwords from now on if BY_KEY is true, because this login used a key.
# PermitRootLogin stays as it is: a "no" should not be loosened, and with passwords refused its other
# values allow only keys.
sshd_settings() {
    # An operator whose network is gone holds the lock for a minute at most.
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
        refuse "sshd does not use the values in $sshd_file" \
            "Remove the same settings from /etc/ssh/sshd_config, above its Include line."
    fi
    systemctl reload ssh
}

undo_sshd() {
    rm -f $sshd_file
    systemctl reload ssh
}
