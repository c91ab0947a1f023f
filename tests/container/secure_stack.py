"""The project with deploy/tls.yml over it."""

from pathlib import Path

from compose import ROOT, Stack
from support.clients.publisher import KEY
from support.servers.service import free_port


class SecureStack(Stack):
    """The project by TLS."""

    def __init__(self, folder: Path) -> None:
        self.tls_port = free_port()
        self.certificates = folder / "certificates"
        self.acme = folder / "acme"
        self.acme.mkdir()
        # What is mounted is nginx's user's to read.
        for mounted in (self.certificates, self.acme):
            mounted.chmod(0o755)
        super().__init__(
            ROOT / "deploy/tls.yml",
            tls_port=self.tls_port,
            certificates=self.certificates,
            acme=self.acme,
            drain_seconds=0,
            token_key=KEY,
        )

    @property
    def origin(self) -> str:
        """Where the site is."""
        return f"https://127.0.0.1:{self.tls_port}"
