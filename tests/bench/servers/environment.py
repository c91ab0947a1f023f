"""What a server finds in its environment."""

import os


def inherited() -> dict[str, str]:
    """Return this process's environment without its settings: they would make another server."""
    return {name: value for name, value in os.environ.items() if "BARESTREAM" not in name}


def variables(settings: dict[str, object]) -> dict[str, str]:
    """Return settings as the service reads them."""
    return {f"BARESTREAM_{name.upper()}": str(value) for name, value in settings.items()}
