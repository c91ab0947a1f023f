# shellcheck shell=bash
# Docker's settings. Needs item.sh.

daemon_file=/etc/docker/daemon.json

docker_settings() {
    local wanted
    if ! may_change && ! { command -v dockerd && command -v python3; } >/dev/null; then
        change "$daemon_file: live-restore, log limits"
        return
    fi
    is_enabled docker || change "docker.service on boot" systemctl enable docker
    systemctl is-active --quiet docker || change "docker.service, started" systemctl start docker
    wanted=$(merged_settings) || refuse "$daemon_file is not valid JSON" "Correct it, or move it away."
    if [ -n "$wanted" ]; then
        [ "$(docker info --format '{{.Swarm.LocalNodeState}}')" != active ] ||
            refuse "Docker is in a swarm, which does not support live-restore" \
                "Leave the swarm, or take a VM that serves nothing else."
        change "$daemon_file: live-restore, log limits" set_docker "$wanted"
    elif ! lives_on; then
        change "Docker, restarted with its settings" restart_docker
    else
        ok "$daemon_file"
    fi
}

lives_on() { [ "$(docker info --format '{{.LiveRestoreEnabled}}')" = true ]; }

# Print the operator's own settings with those that are needed, or nothing if they are there. Another
# log driver or other limits are the operator's choice and stay.
merged_settings() {
    python3 - "$daemon_file" <<'PYTHON'
import json, os, sys

path = sys.argv[1]
settings = json.load(open(path)) if os.path.exists(path) else {}
wanted = {**settings, "live-restore": True}
if not {"log-driver", "log-opts"} & settings.keys():
    wanted |= {"log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": "3"}}
if wanted != settings:
    print(json.dumps(wanted, indent=2))
PYTHON
}

set_docker() {
    mkdir -p /etc/docker
    write_file "$daemon_file" 644 "$1"
    restart_docker
}

# The reload applies live-restore, so that containers outlive the restart, which applies the limits of
# the logs. The reload is not done when systemctl returns.
restart_docker() {
    systemctl reload docker
    local deadline=$((SECONDS + 10))
    until lives_on; do
        [ $SECONDS -lt $deadline ] ||
            refuse "Docker did not apply live-restore within 10 s; without it a restart would end the containers" \
                "Read Docker's log on the VM: journalctl -u docker"
        sleep 0.1
    done
    systemctl restart docker
}
