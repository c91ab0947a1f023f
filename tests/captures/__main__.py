"""What commands show on a terminal of 80 columns, drawn as SVG into docs/.

    .venv/bin/python tests/captures [FOLDER]

It runs the real commands against a service with two workers, a Valkey and a load: `top` while it
changes, and `doctor`. Each is drawn as a dark terminal and a light one show it, and with NO_COLOR.
"""

import contextlib
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]

from rich.console import Console  # noqa: E402
from rich.terminal_theme import TerminalTheme  # noqa: E402
from rich.text import Text  # noqa: E402

from barestream.mercure.tokens import sign  # noqa: E402
from support.clients.command_line import CommandLine  # noqa: E402
from support.clients.publisher import KEY  # noqa: E402
from support.clients.terminal import HOME, Terminal  # noqa: E402
from support.servers.service import ROOT, Service, wait_for  # noqa: E402
from support.servers.valkey_server import ValkeyServer  # noqa: E402

COLUMNS, ROWS = 80, 24

# The colours of the terminal of Visual Studio Code, as it has them on dark and on light ground.
DARK = TerminalTheme(
    (0x18, 0x18, 0x18),
    (0xCC, 0xCC, 0xCC),
    [
        *((0x00, 0x00, 0x00), (0xCD, 0x31, 0x31), (0x0D, 0xBC, 0x79), (0xE5, 0xE5, 0x10)),
        *((0x24, 0x72, 0xC8), (0xBC, 0x3F, 0xBC), (0x11, 0xA8, 0xCD), (0xE5, 0xE5, 0xE5)),
    ],
)
LIGHT = TerminalTheme(
    (0xFF, 0xFF, 0xFF),
    (0x3B, 0x3B, 0x3B),
    [
        *((0x00, 0x00, 0x00), (0xCD, 0x31, 0x31), (0x10, 0x7C, 0x10), (0x94, 0x98, 0x00)),
        *((0x04, 0x51, 0xA5), (0xBC, 0x05, 0xBC), (0x05, 0x98, 0xBC), (0x55, 0x55, 0x55)),
    ],
)

# rich would have the reader's browser load this font from another host.
_LOADED = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_LOADED_NAME = "Fira Code"

# Its frame cannot be seen on a light page.
_FRAME, _SEEN_FRAME = "rgba(255,255,255,0.35)", "rgba(128,128,128,0.5)"

_FONTS = "ui-monospace, Menlo, Consolas, DejaVu Sans Mono"


def main(folder: Path) -> None:
    """Draw all of them into a folder."""
    with serving() as shell:
        for name, shown in (("top", top), ("doctor", doctor)):
            coloured = shown(shell)
            draw(coloured, folder / f"{name}-dark.svg", DARK)
            draw(coloured, folder / f"{name}-light.svg", LIGHT)
            shell.environment["NO_COLOR"] = "1"
            draw(shown(shell), folder / f"{name}-no-color.svg", DARK)
            del shell.environment["NO_COLOR"]


@contextlib.contextmanager
def serving() -> Iterator[CommandLine]:
    """Yield a shell whose hub has streams and events."""
    token = sign(KEY, "HS256", ["*"], ["*"], None, operate=True)
    with (
        ValkeyServer() as valkey,
        Service(
            workers=2, token_key=KEY, broker_url=valkey.url, broker_password=valkey.password
        ) as service,
        CommandLine(BARESTREAM_URL=service.url, BARESTREAM_TOKEN=token) as shell,
    ):
        wait_for("both workers", service.is_ready)
        load = f"barestream load {service.url} --streams 400 --seconds 120 --publish 50"
        with shell.start(f"exec {load}", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            wait_for("the streams", lambda: service.metrics()["barestream_streams"] >= 400)
            yield shell


def top(shell: CommandLine) -> str:
    """Return a view of `top` that has rates, as it is printed."""
    with _on_a_terminal(shell, "barestream top") as terminal:
        # The second view has rates, and the third one comes once it is whole.
        terminal.until(lambda _: terminal.output.count(HOME) > 4)
        return terminal.output.split(HOME)[-2]


def doctor(shell: CommandLine) -> str:
    """Return what the doctor prints."""
    with _on_a_terminal(shell, 'barestream doctor --quick "$BARESTREAM_URL" 2>errors') as terminal:
        terminal.end()
        return terminal.output


def _on_a_terminal(shell: CommandLine, line: str) -> Terminal:
    program = ["bash", "-c", f"exec {line}"]
    return Terminal(program, shell.environment, shell.home, COLUMNS, ROWS)


def draw(printed: str, path: Path, theme: TerminalTheme) -> None:
    """Draw what a program has printed."""
    text = Text.from_ansi(printed.replace("\r", "").rstrip())
    text.rstrip()
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(text, highlight=False)
    name = path.stem.partition("-")[0]
    # With an id of its own it is the same in each run.
    drawn = console.export_svg(title=f"barestream {name}", theme=theme, unique_id=path.stem)
    drawn = _LOADED.sub("", drawn).replace(_LOADED_NAME, _FONTS).replace(_FRAME, _SEEN_FRAME)
    path.write_text(drawn)
    print(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs")
