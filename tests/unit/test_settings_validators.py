"""The classes that the settings are made of."""

from pydantic import BaseModel

from barestream.settings.settings import Settings


def test_no_two_parents_have_a_validator_of_one_name() -> None:
    # The settings would silently have only one of them.
    parents = [parent for parent in Settings.__mro__[1:] if issubclass(parent, BaseModel)]
    names = [
        name
        for parent in parents
        for name in parent.__pydantic_decorators__.field_validators
        if name in vars(parent)
    ]
    assert len(names) > 5
    assert len(names) == len({*names})
