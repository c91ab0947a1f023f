"""TLS to Valkey: what is wrong with the files of certificates, and why a handshake failed."""

import ssl
from collections.abc import Mapping

# The options of the URL that name files.
FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


class TlsFilesError(ValueError):
    """Files of certificates that cannot be used; the message names the option, and no secret."""


def check_files(options: Mapping[str, object]) -> None:
    """Check that the files that the options of a connection name can be used.

    Raises:
        TlsFilesError: One cannot be read, or is not what it should be.
    """
    authorities, certificate, key = (options.get(name) for name in FILES)
    if key and not certificate:
        raise TlsFilesError("ssl_keyfile needs ssl_certfile, the certificate of the key")
    # It has no certificates of the system, which take 30 ms to load.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authorities:
        try:
            context.load_verify_locations(cafile=str(authorities))
        except OSError as error:
            raise TlsFilesError(
                f"ssl_ca_certs={authorities}: expected a readable file with certificates in PEM "
                f"({error.strerror})"
            ) from None
    if certificate:
        try:
            context.load_cert_chain(str(certificate), str(key) if key else None)
        except OSError as error:
            raise TlsFilesError(
                f"ssl_certfile={certificate}, ssl_keyfile={key or certificate}: expected readable "
                f"files with a certificate in PEM and its key ({error.strerror})"
            ) from None


def handshake_failure(error: BaseException) -> str | None:
    """Return why a TLS handshake failed; None for an error of another kind."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, ssl.SSLCertVerificationError):
            return f"the server's certificate is not accepted: {found.verify_message.rstrip('.')}"
        if isinstance(found, ssl.SSLError):
            return f"the TLS handshake failed: {found.reason or found}"
        if isinstance(found, ConnectionResetError):
            return (
                "the server closed the connection before it answered: it may expect TLS "
                "(rediss://), or a client certificate (ssl_certfile, ssl_keyfile)"
            )
        found = found.__cause__ or found.__context__
    return None
