"""The settings as tables, for the manual and for ``.env.example``."""

from collections.abc import Iterator
from typing import NamedTuple

from pydantic import BaseModel

from barestream.settings.deployment import DeploymentSettings
from barestream.settings.hub import HubSettings
from barestream.settings.setting import default, kind, unit, variable
from barestream.settings.tokens import TokenSettings
from barestream.settings.traces import TraceSettings

TABLES: dict[str, type[BaseModel]] = {
    "The hub": HubSettings,
    "Tokens": TokenSettings,
    "Traces": TraceSettings,
    "The deployment": DeploymentSettings,
}


class Row(NamedTuple):
    """One setting, as a table shows it; each column is text."""

    variable: str
    type: str
    default: str
    unit: str
    help: str


def rows(settings: type[BaseModel]) -> Iterator[Row]:
    """Yield the rows of a table."""
    for name, info in settings.model_fields.items():
        help_text = info.description or ""
        yield Row(variable(name), kind(info), default(info), unit(info), help_text)


def as_markdown() -> str:
    """Return the tables in Markdown, each below its title."""
    lines = []
    for title, settings in TABLES.items():
        titles = " | ".join(each.capitalize() for each in Row._fields)
        lines += [f"### {title}", "", f"| {titles} |", f"|{' --- |' * len(Row._fields)}"]
        for row in rows(settings):
            cells = (f"`{row.variable}`", *row[1:])
            lines.append(f"| {' | '.join(cell.strip() for cell in cells)} |")
        lines.append("")
    return "\n".join(lines).rstrip()


def as_env_file() -> str:
    """Return an ``.env`` file, all of it comments."""
    entries = []
    for title, settings in TABLES.items():
        entries.append(f"# --- {title} ---\n")
        for row in rows(settings):
            form = f"{row.type}, {row.unit}" if row.unit else row.type
            entries.append(f"# {row.help} ({form})\n#{row.variable}={row.default}\n")
    return "\n".join(entries).rstrip()
