"""Which release of barestream this is."""

from importlib.metadata import PackageNotFoundError, version


def release() -> str | None:
    """Return the release that is installed; None in a checkout."""
    try:
        return version("barestream")
    except PackageNotFoundError:
        return None
