"""Programs that tests need and that may be missing on a machine."""

import os
import shutil
from typing import NoReturn

import pytest


def path_of(program: str, package: str) -> str:
    """Return where a program is, or give up."""
    path = shutil.which(program)
    if path is None:
        give_up(f"{program} is missing: apt-get install {package}")
    return path


def give_up(sentence: str) -> NoReturn:
    """Skip for want of what cannot be had; on CI, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)
