"""deploy/provision, from a bare VM on; the tests' order is an operator's."""

import json
import re
from pathlib import Path

from support.servers.service import wait_for
from vm import Vm

# All that is kept over a boot, and a run may touch; a ctime tells of every write.
_FOLDERS = "/etc /home /opt /root /usr /var/cache/apt /var/lib/apt /var/lib/dpkg /var/lib/systemd"


def state(vm: Vm) -> set[str]:
    """Return what provision is to leave alone, as lines."""
    return set(
        vm.console(
            f"find {_FOLDERS} -printf '%p %C@ %m %u %g %l\\n'; "
            "systemctl show docker ssh --property Id,MainPID,ActiveEnterTimestampMonotonic; "
            "cat /proc/sys/net/netfilter/nf_conntrack_max; "
            "! command -v nft >/dev/null || nft --stateless list ruleset"
        ).splitlines()
    )


def provision(vm: Vm, *arguments: str, **environment: str) -> str:
    done = vm.deploy("provision", *arguments, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refused(vm: Vm, *arguments: str, **environment: str) -> str:
    done = vm.deploy("provision", *arguments, **environment)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr


def test_a_release_whose_docker_is_too_old_is_refused_before_anything_is_changed(vm: Vm) -> None:
    name = "Debian GNU/Linux 12 (bookworm)"
    vm.console(
        "rm /etc/os-release; "
        f"printf 'ID=debian\\nVERSION_ID=12\\nPRETTY_NAME=\"{name}\"\\n' >/etc/os-release"
    )
    before = state(vm)
    said = refused(vm)
    assert f"cause:      the Docker Engine of {name} is older than 25" in said
    assert "what to do: Take a VM of Debian 13" in said
    assert state(vm) == before
    vm.console("ln -sf ../usr/lib/os-release /etc/os-release")


def test_a_check_lists_the_changes_and_makes_none(vm: Vm) -> None:
    before = state(vm)
    said = provision(vm, "--check")
    assert "would change: packages" in said
    assert not re.search("^ *changed", said, re.MULTILINE)
    assert state(vm) == before


def test_a_bare_vm_gets_a_docker_that_runs(vm: Vm) -> None:
    said = provision(vm)
    assert f"next: deploy/rollout {vm.target}" in said
    assert vm.console("docker info --format '{{.LiveRestoreEnabled}} {{.LoggingDriver}}'") == (
        "true json-file\n"
    )
    assert vm.console("stat --format '%a %U' /opt/barestream/.env") == "600 root\n"
    assert vm.console("id -u barestream; id -g barestream") == "10001\n10001\n"
    assert vm.console("apt-config dump APT::Periodic::Unattended-Upgrade").endswith('"1";\n')


def test_a_second_run_changes_nothing(vm: Vm) -> None:
    before = state(vm)
    assert "nothing to change" in provision(vm)
    assert state(vm) == before
    assert "nothing to change" in provision(vm, "--check")
    assert state(vm) == before


def test_the_firewall_holds_for_published_ports(vm: Vm) -> None:
    # An image without a registry: the VM's own Python.
    vm.console(
        "tar --create /bin /lib /lib64 /usr/bin/python3* /usr/lib/*-linux-gnu /usr/lib64 "
        "/usr/lib/python3* | docker import - own >/dev/null; "
        "docker run --detach --init --publish 80:80 --publish 9000:80 --name web own "
        "python3 -m http.server 80"
    )
    wait_for("the container", lambda: vm.listens(80))
    assert not vm.listens(9000)
    vm.console("systemctl stop barestream-firewall")
    assert vm.listens(9000)
    assert "changed: firewall" in provision(vm)
    assert not vm.listens(9000)
    assert vm.listens(80)


def test_settings_of_the_operator_are_kept_and_containers_outlive_the_change(vm: Vm) -> None:
    vm.console(
        """echo '{"live-restore": false, "log-driver": "local", "debug": true}' """
        ">/etc/docker/daemon.json; systemctl reload docker; "
        "echo BARESTREAM_PORT=8080 >>/opt/barestream/.env"
    )
    pid_of_container = "docker inspect --format '{{.State.Pid}}' web"
    pid = vm.console(pid_of_container)
    said = provision(vm)
    assert "changed: /etc/docker/daemon.json" in said
    assert "22, 80, 443, 8080" in said
    assert json.loads(vm.console("cat /etc/docker/daemon.json")) == {
        "live-restore": True,
        "log-driver": "local",
        "debug": True,
    }
    assert vm.console(pid_of_container) == pid != "0\n"
    assert "nothing to change" in provision(vm)


def test_a_firewall_that_blocks_the_operator_is_removed_again(vm: Vm, tmp_path: Path) -> None:
    vm.console("systemctl stop barestream-firewall")
    said = refused(vm, DEPLOY_SSH=client_of_one_connection(vm, tmp_path))
    assert "failed at: the firewall" in said
    assert "no new login came through" in said
    assert "barestream" not in vm.console("nft list tables")
    provision(vm)
    assert "barestream" in vm.console("nft list tables")


def client_of_one_connection(vm: Vm, folder: Path) -> str:
    client = folder / "ssh"
    client.write_text(
        '#!/bin/sh\ncase "$*" in *ControlPath=none*) exit 255 ;; esac\n'
        f'exec {vm.environment["DEPLOY_SSH"]} "$@"\n'
    )
    client.chmod(0o700)
    return str(client)


def test_passwords_are_refused_after_a_login_by_key(vm: Vm) -> None:
    without_key = vm.environment["DEPLOY_SSH"] + " -o PubkeyAuthentication=no"
    assert "Permission denied (publickey)" in refused(vm, DEPLOY_SSH=without_key)


def test_passwords_stay_allowed_after_a_login_by_password(vm: Vm, tmp_path: Path) -> None:
    ask = tmp_path / "ask"
    ask.write_text("#!/bin/sh\necho secret\n")
    ask.chmod(0o700)
    vm.console(
        "echo deployer:secret | chpasswd; "
        "rm /etc/ssh/sshd_config.d/10-barestream.conf; systemctl reload ssh"
    )
    by_password = {
        "DEPLOY_SSH": vm.environment["DEPLOY_SSH"] + " -o PubkeyAuthentication=no",
        "SSH_ASKPASS": str(ask),
        "SSH_ASKPASS_REQUIRE": "force",
    }
    assert "ssh-copy-id deployer@127.0.0.1" in provision(vm, **by_password)
    assert "nothing to change" in provision(vm, **by_password)
    assert "changed: sshd" in provision(vm)
    assert "Permission denied (publickey)" in refused(vm, **by_password)


def test_the_machine_is_the_same_after_a_reboot(vm: Vm) -> None:
    vm.console(
        "cd /opt/barestream; touch release.env; "
        "printf '#!/bin/sh\\necho $1 $(docker info --format engine) >>calls\\n' >compose; "
        "chmod +x compose; systemctl start barestream"
    )
    vm.reboot()
    is_active = "systemctl is-active barestream || true"
    wait_for("the service", lambda: vm.console(is_active) == "active\n")
    assert vm.console("cat /opt/barestream/calls") == "up engine\nstop engine\nup engine\n"
    assert "table inet barestream" in vm.console("nft list tables")
    assert "nothing to change" in provision(vm)
    # The next file's tests go on with it.
    vm.console(
        "systemctl stop barestream; cd /opt/barestream && rm release.env compose calls; "
        "sed -i /BARESTREAM_PORT/d .env; docker rm --force web"
    )
