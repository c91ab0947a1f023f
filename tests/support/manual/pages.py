"""The pages of the manual, read as the steps that a reader takes."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"

# A fenced block, with the comment before it that says how it runs; or a comment of its own that
# says what a reader does in the browser.
_STEP = re.compile(
    r"(?:^<!-- sample: (?P<how>[^\n]*) -->\n)?"
    r'^```(?P<language>[a-z]*)(?: title="(?P<title>[^"\n]+)")?[^\n]*\n(?P<text>.*?)^```$'
    r"|^<!-- browser: (?P<verb>open|shows|send) (?P<object>[^\n]*) -->$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Step:
    """A fenced block, or an action in the browser.

    Attributes:
        page: The page's file name.
        line: The line that it begins on.
        language: The language of the block; empty for an action in the browser.
        title: The file that the reader saves the block as; empty where it is not saved.
        how: How the block runs, by the comment before it: "docker", "native", "network", "vm",
            "checked", "ci", "fails", "endless", "fetch-event-source", "figures" or "at URL"; empty
            for the usual way.
        text: The block as printed, or the object of the action.
        verb: What a reader does in the browser: open, shows or send.
    """

    page: str
    line: int
    language: str
    title: str
    how: str
    text: str
    verb: str = ""

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return f"{self.page}:{self.line}"


def fences(page: Path) -> int:
    """Return how many fenced blocks a page has, by a count that knows nothing of the steps."""
    return len(re.findall(r"(?m)^ *```", page.read_text())) // 2


def steps(page: Path) -> list[Step]:
    """Return the steps of a page, in order."""
    text = page.read_text()
    found = []
    for match in _STEP.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        verb = match["verb"] or ""
        found.append(
            Step(
                page.name,
                line + bool(match["how"]),
                match["language"] or "",
                match["title"] or "",
                match["how"] or "",
                match["object"] if verb else match["text"],
                verb,
            )
        )
    return found


def pages() -> list[Path]:
    """Return the pages of the manual, and the README."""
    return [*sorted(DOCS.glob("*.md")), ROOT / "README.md"]


def runner_of(step: Step) -> str:
    """Return what runs a block: an empty text where nothing does.

    Returns:
        ``page`` for the tests of tests/docs without Docker, ``docker`` for those with it,
        ``clients`` for tests/clients, ``ci`` for .ci/run. Not run are ``vm``, which needs a VM,
        ``checked``, which needs a registry, a cluster or a public CA or would remove images, and
        ``figures``, the output of a measurement.
    """
    if step.how in ("docker", "vm", "checked", "figures", "ci"):
        return step.how
    if step.how == "fetch-event-source":
        return "clients"
    known = step.how in ("", "native", "network", "fails", "endless") or step.how.startswith("at ")
    languages = ("sh", "console", "python", "js", "html", "text", "json", "toml", "yaml", *PROXIES)
    return "page" if known and step.language in languages else ""


# The languages of the configurations of proxies, and the programs that run them.
PROXIES = {"nginx": "nginx", "caddyfile": "caddy", "apache": "apache2", "haproxy": "haproxy"}
