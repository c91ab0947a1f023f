# shellcheck shell=bash
# The service's folder, its settings, and its start on boot. Needs item.sh.

home=/opt/barestream
# TimeoutStopSec: Compose's longest stop_grace_period (620 s, for the app of an earlier release that a
# rollback can bring back), then Valkey's (30 s), and 30 s of reserve.
unit="[Unit]
Description=barestream
# Not Requires: Docker is restarted under running containers, and streams go on.
Wants=docker.service network-online.target
After=docker.service network-online.target
ConditionPathExists=$home/release.env

[Service]
Type=oneshot
RemainAfterExit=yes
WorkingDirectory=$home
ExecStart=$home/compose up --detach --no-build --no-recreate
# Streams are ended evenly while Docker is still there.
ExecStop=$home/compose stop
TimeoutStopSec=680

[Install]
WantedBy=multi-user.target"

# service [HOST] <SETTINGS: a VM without settings gets those of HOST if it is named.
service() {
    if [ "$(stat -c '%a %u %g' $home 2>/dev/null)" = "700 0 0" ]; then
        ok "$home"
    else
        change "$home" install -d -o root -g root -m 0700 $home
    fi
    if [ -e $home/.env ]; then
        ok "$home/.env"
    elif [ -n "${1:-}" ]; then
        change "$home/.env: the settings of $1" copy_settings
    else
        change "$home/.env: a new key for tokens, a drain of 30 s" make_settings
    fi
    if is_file /etc/systemd/system/barestream.service 644 "$unit" && is_enabled barestream; then
        ok "barestream.service"
    else
        change "barestream.service on boot" enable_service
    fi
}

make_settings() {
    local key
    key=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
    write_file $home/.env 600 "# Settings of the service: .env.example of a release lists them.
BARESTREAM_TOKEN_KEY=$key
BARESTREAM_DRAIN_SECONDS=30
BARESTREAM_NOFILE=$(open_files)"
}

copy_settings() {
    local settings
    settings=$(grep -v '^BARESTREAM_NOFILE=')
    write_file $home/.env 600 "$settings
BARESTREAM_NOFILE=$(open_files)"
}

# Print the settings, if there are any.
print_settings() { cat $home/.env 2>/dev/null || true; }

# A container cannot have more open files than Docker itself.
open_files() {
    local wanted=65536 hard
    hard=$(awk '/^Max open files/ {print $5}' "/proc/$(systemctl show --property MainPID --value docker)/limits")
    if [ "$hard" != unlimited ] && [ "$hard" -lt $wanted ]; then
        echo "$hard"
    else
        echo $wanted
    fi
}

enable_service() {
    write_file /etc/systemd/system/barestream.service 644 "$unit"
    systemctl daemon-reload
    systemctl enable barestream
}
