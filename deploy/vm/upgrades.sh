# shellcheck shell=bash
# Automatic security upgrades. Needs item.sh.

upgrades_file=/etc/apt/apt.conf.d/20auto-upgrades

upgrades() {
    if are_periodic; then
        ok "security upgrades, daily"
    else
        change "security upgrades, daily" make_periodic
    fi
}

are_periodic() {
    local lists=0 upgrade=0
    eval "$(apt-config shell lists APT::Periodic::Update-Package-Lists \
        upgrade APT::Periodic::Unattended-Upgrade)"
    [ "$lists" != 0 ] && [ "$upgrade" != 0 ]
}

make_periodic() {
    write_file "$upgrades_file" 644 'APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";'
    are_periodic || refuse "a file that apt reads after $upgrades_file turns security upgrades off" \
        "Find it in /etc/apt/apt.conf.d; apt-config dump APT::Periodic shows the values."
}
