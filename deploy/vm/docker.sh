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
    wanted=$(merged_settings) || refuse "$daemon_file is not JSON" "Mend it, or move it away."
    if [ -n "$wanted" ]; then
        [ "$(docker info --format '{{.Swarm.LocalNodeState}}')" != active ] ||
            refuse "Docker is in a swarm, where live-restore is not to be had" \
                "Take a VM of its own."
        change "$daemon_file: live-restore, log limits" set_docker "$wanted"
    elif ! lives_on; then
        change "Docker, restarted with its settings" restart_docker
    else
        ok "$daemon_file"
    fi
}

lives_on() { [ "$(docker info --format '{{.LiveRestoreEnabled}}')" = true ]; }

# The operator's own settings with what is needed, or nothing where it is there. Another log
# driver is a choice, and its limits too.
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

# A reload takes live-restore in, so that containers outlive the restart; the logs' limits want
# that one. Docker reloads in its own time.
restart_docker() {
    systemctl reload docker
    local deadline=$((SECONDS + 10))
    until lives_on; do
        [ $SECONDS -lt $deadline ] ||
            refuse "Docker does not take live-restore, and a restart would end its containers" \
                "See why: journalctl -u docker"
        sleep 0.1
    done
    systemctl restart docker
}
