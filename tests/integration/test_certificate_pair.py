"""The checks of deploy/certificate on the given files, before it connects to the VM."""

import datetime as dt
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from support.servers.service import ROOT

KEYS = {name: generate_private_key(SECP256R1()) for name in ("root", "middle", "site")}


def certificate(subject: str, issuer: str, days: int = 30) -> str:
    names = [
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (subject, issuer)
    ]
    end = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    builder = x509.CertificateBuilder(
        subject_name=names[0],
        issuer_name=names[1],
        public_key=KEYS[subject].public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=end - dt.timedelta(days=60),
        not_valid_after=end,
    ).add_extension(x509.BasicConstraints(ca=subject != "site", path_length=None), critical=True)
    return builder.sign(KEYS[issuer], hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def pem(key: EllipticCurvePrivateKey, seal: KeySerializationEncryption | None = None) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, seal or NoEncryption()).decode()


SITE = certificate("site", "middle")
MIDDLE = certificate("middle", "root")


def check(folder: Path, fullchain: str, key: str) -> subprocess.CompletedProcess[str]:
    """Run the step on two files."""
    (folder / "chain").write_text(fullchain)
    (folder / "key").write_text(key)
    (folder / "copies").mkdir()
    script = ". operator/progress.sh; . operator/pair.sh; check_pair $0/chain $0/key $0/copies"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script, folder],
        cwd=ROOT / "deploy",
        capture_output=True,
        text=True,
        check=False,
    )


def name_of(text: str) -> str:
    return "pem" if "-----" in text else text


def test_a_pair_with_its_chain_in_order_is_accepted_as_it_is(tmp_path: Path) -> None:
    done = check(tmp_path, SITE + MIDDLE, pem(KEYS["site"]))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "copies/fullchain.pem").read_text() == SITE + MIDDLE
    assert (tmp_path / "copies/privkey.pem").read_text() == pem(KEYS["site"])


@pytest.mark.parametrize(
    ("fullchain", "sentence"),
    [
        (SITE, "browsers need the intermediate certificate too"),
        (certificate("site", "middle", days=3) + MIDDLE, "expires within a week"),
    ],
    ids=name_of,
)
def test_a_pair_that_can_serve_but_should_not_is_reported(
    tmp_path: Path, fullchain: str, sentence: str
) -> None:
    done = check(tmp_path, fullchain, pem(KEYS["site"]))
    assert done.returncode == 0
    assert sentence in done.stdout


@pytest.mark.parametrize(
    ("fullchain", "key", "cause"),
    [
        (SITE + MIDDLE, pem(KEYS["middle"]), "is not the key of the first certificate"),
        (MIDDLE + SITE, pem(KEYS["site"]), "is not the key of the first certificate"),
        (SITE + certificate("root", "root"), pem(KEYS["site"]), "certificate 1 of 2"),
        (certificate("site", "middle", days=-1) + MIDDLE, pem(KEYS["site"]), "has expired"),
        (SITE, pem(KEYS["site"], BestAvailableEncryption(b"hush")), "without a passphrase"),
        (pem(KEYS["site"]), pem(KEYS["site"]), "holds no certificate"),
        (SITE.replace("M", "N"), pem(KEYS["site"]), "certificate 1"),
    ],
    ids=name_of,
)
def test_a_pair_that_cannot_serve_is_refused_with_the_reason(
    tmp_path: Path, fullchain: str, key: str, cause: str
) -> None:
    done = check(tmp_path, fullchain, key)
    assert done.returncode == 1
    assert cause in done.stderr
