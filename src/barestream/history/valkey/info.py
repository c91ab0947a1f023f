"""Valkey's answers to INFO. Pure."""


def figures(info: bytes) -> dict[str, str]:
    """Return the figures of an answer to INFO, by name."""
    lines = info.decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)
