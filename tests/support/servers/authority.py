"""A certificate authority of the tests' own, and the folder that nginx reads its pairs from."""

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFETIME = dt.timedelta(days=90)


class Authority:
    """Issues certificates for this machine's own address.

    Args:
        folder: Where ``root.pem`` is written, for clients to trust.
        name: Its name.
    """

    def __init__(self, folder: Path, name: str = "the tests' authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        root = self._builder(self._name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.root = folder / "root.pem"
        self.root.write_bytes(self._signed(root))

    def issue(
        self, folder: Path, address: str = "127.0.0.1", lifetime: dt.timedelta = LIFETIME
    ) -> None:
        """Write a new pair into a folder that is made for it, for nginx's user to read.

        Args:
            folder: The folder.
            address: The address that it is for.
            lifetime: For how long it is valid, from an hour ago.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, folder.name)])
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        builder = self._builder(name, key, lifetime).add_extension(names, critical=False)
        certificate = self._signed(builder)
        folder.mkdir(parents=True)
        (folder / "fullchain.pem").write_bytes(certificate)
        (folder / "privkey.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, lifetime: dt.timedelta = LIFETIME
    ) -> x509.CertificateBuilder:
        begin = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
        return x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=begin,
            not_valid_after=begin + lifetime,
        )

    def _signed(self, builder: x509.CertificateBuilder) -> bytes:
        certificate = builder.sign(self._key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM)


def make_current(folder: Path) -> None:
    """Have the link ``current`` beside a folder name it, from one instant to the next."""
    link = folder.with_name("current.new")
    link.symlink_to(folder.name)
    link.rename(folder.with_name("current"))
