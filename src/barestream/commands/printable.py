"""Text from elsewhere, on a terminal."""


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
