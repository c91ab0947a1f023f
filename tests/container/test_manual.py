"""The samples of the manual that need Docker run as they are printed."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from support.manual.machine import Machine
from support.manual.pages import pages, runner_of, steps
from support.manual.reading import Reading
from support.manual.relay_to_docker import relay
from support.servers.docker_cli import docker
from support.servers.service import free_port

ON_DOCKER = [page for page in pages() if any(runner_of(step) == "docker" for step in steps(page))]


@pytest.mark.parametrize("page", ON_DOCKER, ids=lambda page: page.name)
def test_the_samples_of_a_page_run_on_docker_as_printed(
    page: Path, figure: Callable[[str], None]
) -> None:
    project, port = f"barestream-manual-{secrets.token_hex(4)}", free_port()
    environment = {
        # Docker's own port is another one, so that no service of this machine is in its way.
        "BARESTREAM_PORT": str(port),
        "COMPOSE_PROJECT_NAME": project,
        "COMPOSE_FILE": "docker-compose.yml:tests/container/own_image.yml",
        "BARESTREAM_TEST_IMAGE": project,
        "DOCKER_CONFIG": os.environ.get("DOCKER_CONFIG", str(Path.home() / ".docker")),
    }
    with Machine(**environment) as machine, Reading(machine, "docker") as reading:
        try:
            with relay(machine.network, port):
                reading.read(steps(page))
        finally:
            machine.run("docker compose down --volumes --remove-orphans --timeout 20")
            docker("image", "rm", "--force", project)
    figure(f"{reading.ran.total()} of {len(steps(page))} steps run on Docker")
