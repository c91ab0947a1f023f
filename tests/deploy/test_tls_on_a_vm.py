"""TLS for a service that had none; last, because port 80 leads elsewhere afterwards."""

import ssl
from pathlib import Path

import httpx
import pytest

from operating import Operator
from support.servers.authority import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def install(operator: Operator, authority: Authority, folder: Path) -> str:
    authority.issue(folder)
    pair = (str(folder / "fullchain.pem"), str(folder / "privkey.pem"))
    done = operator.deploy("certificate", *pair)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_key_of_another_certificate_is_refused_before_it_is_sent(
    operator: Operator, authority: Authority, tmp_path: Path
) -> None:
    authority.issue(tmp_path / "one")
    authority.issue(tmp_path / "other")
    pair = (str(tmp_path / "one/fullchain.pem"), str(tmp_path / "other/privkey.pem"))
    done = operator.deploy("certificate", *pair)
    assert done.returncode == 1
    assert "is not the key of the first certificate" in done.stderr


@pytest.mark.long
def test_a_certificate_and_a_rollout_turn_tls_on_and_a_renewal_cuts_no_stream(
    operator: Operator, authority: Authority, tmp_path: Path
) -> None:
    said = install(operator, authority, tmp_path / "first")
    assert "--replace-nginx" in said
    # Until then all is as it was, and afterwards too where TLS does not come about.
    operator.must("rollout")
    distrusting = operator.deploy("rollout", "--replace-nginx", "--url", operator.vm.https_url)
    assert distrusting.returncode == 1
    assert "certificate" in distrusting.stderr
    operator.smoke()
    operator.url = operator.vm.https_url
    operator.environment = {"SSL_CERT_FILE": str(authority.root)}
    said = operator.must("rollout", "--replace-nginx")
    assert "nginx's container was replaced" in said
    assert "all is well" in operator.smoke()
    plain = httpx.get(f"{operator.vm.url}/test")
    assert (plain.status_code, plain.headers["location"]) == (308, "https://127.0.0.1/test")
    trusting = ssl.create_default_context(cafile=str(authority.root))
    with (
        httpx.Client(verify=trusting, timeout=20) as client,
        client.stream("GET", f"{operator.url}/events") as answer,
    ):
        lines = answer.iter_lines()
        next(lines)
        install(operator, authority, tmp_path / "second")
        assert "CN=second" in operator.vm.console(
            "true | openssl s_client -connect 127.0.0.1:443 2>/dev/null | grep ^subject"
        )
        assert any(line.startswith("data: ") for line in lines)
    assert "certificate      expires on" in operator.deploy("status").stdout
