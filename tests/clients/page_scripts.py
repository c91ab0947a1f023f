"""The scripts by which a page follows a stream: the browser's EventSource, and libraries.

Each is an expression whose value is a function of a URL, types of events and a function that is
told reports; it returns what has a method `close`. The service's pages load no scripts of others,
so all that a library needs is in the expression itself.
"""

import json
from pathlib import Path

_HERE = Path(__file__).parent
_PACKAGES = _HERE / "node_modules"
_MANUAL = _HERE.parents[1] / "docs/clients.md"

# A script that is evaluated cannot be a module.
_FOLLOW = (_HERE / "event_source.mjs").read_text().replace("export function", "function")

EVENT_SOURCE = f"(...rest) => ({_FOLLOW})(EventSource, ...rest)"


def event_source_polyfill() -> str:
    """Return the script that follows by event-source-polyfill."""
    exports = _required(_PACKAGES / "event-source-polyfill/src", ["eventsource"])
    return f"(...rest) => ({_FOLLOW})({exports}.EventSourcePolyfill, ...rest)"


def fetch_event_source(options: str = "{}") -> str:
    """Return the script that follows by fetch-event-source as the manual says.

    Args:
        options: Of the library, as an expression; they replace those of the manual.
    """
    folder = _PACKAGES / "@microsoft/fetch-event-source/lib/cjs"
    library = _required(folder, ["index", "fetch", "parse"])
    shown = _MANUAL.read_text().partition("<!-- sample: fetch-event-source -->\n```js\n")[2]
    return f"""(url, _types, tell) => {{
        const controller = new AbortController();
        const fetchEventSource = (url, options) => {library}.fetchEventSource(url, {{
            ...options,
            async onopen(response) {{
                await options.onopen(response);
                tell({{ open: true }});
            }},
            signal: controller.signal,
            ...{options},
        }});
        {shown.partition("```")[0]}
        const closed = () => tell({{ closed: true }});
        follow(url, (type, data, id) => tell({{ type, data, id }})).then(closed, closed);
        return {{ close: () => controller.abort() }};
    }}"""


def _required(folder: Path, files: list[str]) -> str:
    """Return an expression whose value is what the first of some CommonJS files exports."""
    modules = ",".join(
        f"{json.dumps(f'./{name}')}(module, exports, require) {{"
        f"{(folder / f'{name}.js').read_text()}\n}}"
        for name in files
    )
    return f"""(() => {{
        const modules = {{ {modules} }};
        const loaded = {{}};
        const require = (name) => {{
            if (!loaded[name]) {{
                loaded[name] = {{ exports: {{}} }};
                modules[name](loaded[name], loaded[name].exports, require);
            }}
            return loaded[name].exports;
        }};
        return require({json.dumps(f"./{files[0]}")});
    }})()"""
