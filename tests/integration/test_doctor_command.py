import json
import socket

import pytest
from click.testing import CliRunner

from barestream_doctor.command import doctor


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def test_a_server_that_refuses_has_an_exit_code_of_its_own(closed_port: int) -> None:
    done = CliRunner().invoke(doctor, [f"http://127.0.0.1:{closed_port}/", "--quick"])
    assert done.exit_code == 4
    assert "cannot be reached: connection refused" in " ".join(done.output.split())


def test_a_url_of_another_form_has_the_exit_code_of_no_hub() -> None:
    done = CliRunner().invoke(doctor, ["example.com"])
    assert done.exit_code == 3
    assert "expected http://host:port/path" in done.output


def test_json_says_the_same(closed_port: int) -> None:
    done = CliRunner().invoke(doctor, [f"http://127.0.0.1:{closed_port}/", "--json"])
    said = json.loads(done.stdout)
    assert (said["severity"], [each["code"] for each in said["findings"]]) == (
        "error",
        ["unreachable"],
    )


@pytest.mark.parametrize("no_color", [True, False])
def test_colors_are_for_terminals_that_want_them(closed_port: int, *, no_color: bool) -> None:
    done = CliRunner().invoke(
        doctor,
        [f"http://127.0.0.1:{closed_port}/"],
        env={"NO_COLOR": "1" if no_color else None},
        color=True,
    )
    assert ("\x1b[" in done.output) is not no_color
