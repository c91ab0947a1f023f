"""The client for pages, barestream.js.

It is served below the hub's path, because a proxy may pass on that path alone.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from bareasgi import HttpRequest, HttpResponse

from barestream.mercure.topics import PATH
from barestream.web.static_files import ASK_EACH_TIME, StaticFiles, file_answer

_FOLDER = Path(__file__).parent / "client"

CLIENT_ENTRY = f"{PATH}/barestream.js"
CLIENT_FILES = f"{PATH}/client/{{version}}/{{name}}"
_ENTRY = "barestream.js"

# The modules are public. Browsers and nginx keep them for long: an answer that depended on
# BARESTREAM_CORS_ORIGINS would outlive a change of that setting.
_ANY_ORIGIN = ((b"access-control-allow-origin", b"*"),)

# The name of a module that another one imports.
_IMPORTED = re.compile(r"^(?:import|export)\b[^;]*?'\./([\w.-]+)';", re.MULTILINE)


def client_folder(link: Path = _FOLDER) -> Path:
    """Return the folder of the modules.

    In a checkout a link leads to client/src. Where Git makes no links, as on Windows, it makes a
    file that has the link's text.

    Raises:
        OSError: The link cannot be read.
    """
    return link if link.is_dir() else link.parent / link.read_text().strip()


class ClientScripts:
    """The handlers of the script that pages import, and of the modules that it consists of.

    The script names all modules that it needs, so that a browser asks for them together: it learns
    what a module imports only once it has the module. The modules import each other by relative
    addresses, so all of them are of one version.

    Args:
        files: The modules, by name (see read_folder).

    Attributes:
        modules: The handler of the modules.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.modules = StaticFiles(files, headers=_ANY_ORIGIN)
        folder = f"./client/{self.modules.version}"
        needed = [f"import '{folder}/{name}';\n" for name in _imported(files, _ENTRY)]
        self._entry = "".join([*needed, f"export * from '{folder}/{_ENTRY}';\n"]).encode()

    async def entry(self, _request: HttpRequest) -> HttpResponse:
        """Answer with the script that pages import."""
        return file_answer(_ENTRY, self._entry, ASK_EACH_TIME, _ANY_ORIGIN)


def _imported(files: Mapping[str, bytes], name: str) -> list[str]:
    """Return the modules that a module imports, and those that they import."""
    found = {name: None}
    left = [name]
    while left:
        for each in _IMPORTED.findall(files[left.pop()].decode()):
            if each not in found:
                found[each] = None
                left.append(each)
    return [*found][1:]
