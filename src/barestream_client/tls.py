"""What an error of TLS means, in words. Pure."""

import ssl

_WRONG_VERSION = "WRONG_VERSION_NUMBER"


def of_tls(error: ssl.SSLError) -> str:
    """Return why TLS fails, in the same words for all failures of a kind."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS fails: its certificate is not trusted ({error.verify_message})"
    if _WRONG_VERSION in str(error):
        return "TLS fails: the server there does not speak TLS; is it a URL of http?"
    return f"TLS fails: {error}"
