"""The parts of presence, which are only there if the setting says so."""

from typing import Any, cast

import pytest

from barestream.registering import Registering
from barestream.settings.settings import Settings
from barestream.web.cors import Cors


class Untouched:
    """Fails where anything is asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


def parts(**settings: Any) -> Registering:
    nothing = cast("Any", Untouched())
    return Registering(Settings(**settings), nothing, nothing, nothing, nothing)


def test_without_the_setting_there_is_no_part_of_presence() -> None:
    registering = parts()
    assert registering.attending is None
    assert list(registering.works()) == []
    assert list(registering.routes(Cors(["*"]))) == []
    with pytest.raises(StopIteration):
        registering.settle().send(None)


def test_with_the_setting_the_registry_is_asked_for() -> None:
    with pytest.raises(AssertionError, match="registry"):
        parts(subscriptions=True)
