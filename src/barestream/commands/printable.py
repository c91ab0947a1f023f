"""Text from elsewhere, on a terminal."""

import json


def printable(text: str) -> str:
    """Return text without characters that would command the terminal.

    Lines after the first are indented, so that none looks like a line of the command.
    """
    lines = text.split("\n")
    shown = [
        "".join(each if each.isprintable() or each == "\t" else "\ufffd" for each in line)
        for line in lines
    ]
    return "\n    ".join(shown)


def json_line(value: object) -> str:
    """Return a value as JSON in one line, in which such characters are escaped."""
    text = json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    # Only a text of the value can have one.
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)
