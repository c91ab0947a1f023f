"""The rules of the service's user in Valkey are what the service sends and what scripts run."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from barestream.history.valkey.scripts import PREFIX

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/valkey-service.acl"
PACKAGE = ROOT / "src/barestream/history/valkey"

# What the client library sends by itself, where the settings ask for it.
OF_THE_LIBRARY = {"client|setname", "select"}
# The commands of which a subcommand is allowed alone.
CONTAINERS = {"xinfo": "xinfo|stream"}


def rules() -> list[str]:
    lines = RULES.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def of_scripts() -> Iterator[str]:
    for path in PACKAGE.glob("lua/*.lua"):
        yield from re.findall(r"redis\.p?call\('([A-Z]+)'", path.read_text())


def of_python() -> Iterator[str]:
    """Yield what begins a command, and what a script is given as the command to run."""
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            words = node.elts if isinstance(node, ast.Tuple) else []
            if isinstance(node, ast.Call):
                words = node.args[1:2]
            for word in words[:1]:
                if isinstance(word, ast.Constant) and isinstance(word.value, bytes):
                    yield from re.findall(r"^[A-Z]+$", word.value.decode())


def test_the_rules_allow_each_command_that_the_service_needs_and_no_other() -> None:
    # BLOCK begins the options of XREAD; SENTINEL is for sentinels, which have users of their own.
    sent = {*of_scripts(), *of_python()} - {"BLOCK", "SENTINEL"}
    assert {"EVAL", "XREAD", "XREVRANGE", "ZPOPMIN"} <= sent
    needed = {CONTAINERS.get(name.lower(), name.lower()) for name in sent}
    allowed = [rule[1:] for rule in rules() if rule.startswith("+")]
    assert sorted(allowed) == sorted(needed | OF_THE_LIBRARY)


def test_the_rules_allow_the_keys_of_the_service_and_no_channel() -> None:
    others = [rule for rule in rules() if not rule.startswith("+")]
    assert others == ["resetchannels", "-@all", f"~{PREFIX.decode()}*"]
