"""The doctor before deploy/tls.yml: HTTP/2, TLS, our nginx and the app, all of them healthy."""

import json
import os
import subprocess
import sys
from pathlib import Path

from barestream.mercure.tokens import sign
from secure_stack import SecureStack
from support.clients.publisher import KEY
from support.servers.authority import Authority, make_current
from support.servers.service import ROOT


def test_the_doctor_finds_the_project_over_tls_healthy(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    folder = tmp_path / "tls"
    folder.mkdir()
    first = folder / "certificates/first"
    authority.issue(first)
    make_current(first)
    with SecureStack(folder) as running:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "barestream", "doctor", "--quick", "--json"),
                *("--topic", "doctor", f"{running.origin}/"),
            ],
            env={
                **{name: value for name, value in os.environ.items() if "BARESTREAM" not in name},
                "PYTHONPATH": str(ROOT / "src"),
                "SSL_CERT_FILE": str(authority.root),
                "BARESTREAM_TOKEN": sign(KEY, "HS256", ("*",), ("*",), None, operate=True),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    said = {each["code"]: each for each in json.loads(done.stdout)["findings"]}
    assert {each["severity"] for each in said.values()} <= {"ok", "note"}
    assert said["http"]["evidence"].startswith("HTTP/2 by ALPN")
    assert said["body"]["severity"] == "ok"
