"""Write the settings of the hub into deploy/helm/values.schema.json, with the form of each.

.venv/bin/python scripts/chart_schema.py
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SCHEMA = ROOT / "deploy/helm/values.schema.json"
sys.path.insert(0, str(ROOT / "src"))

from barestream.settings.setting import variable  # noqa: E402
from barestream.settings.settings import Settings, secrets  # noqa: E402

# The chart has values of its own for these, or sets them by itself.
OF_CHART = {
    *("bind", "broker_replicas", "drain_seconds", "instance", "issuers", "socket_dir"),
    # Of Compose: ports, files and containers.
    *("acme", "app_memory", "certificates", "nginx_memory", "nofile", "port", "tls_port"),
    "valkey_memory",
    # For an nginx that has TLS itself. Here the Ingress or the Gateway has it.
    "hsts_seconds",
}

# What JSON Schema and pydantic say in the same way of a value.
KEYWORDS = ("type", "minimum", "maximum", "pattern", "enum")


def with_settings(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of the chart's values, with the settings as they are."""
    left_out = OF_CHART | set(secrets())
    fields = Settings.model_json_schema()["properties"]
    forms = {variable(name): _form(field) for name, field in fields.items() if name not in left_out}
    settings = schema["properties"]["settings"] | {"properties": dict(sorted(forms.items()))}
    return schema | {"properties": schema["properties"] | {"settings": settings}}


def _form(field: dict[str, Any]) -> dict[str, Any]:
    """Return the form of a setting; an optional one has that of its value."""
    value = next(iter(field.get("anyOf", [field])))
    form = {keyword: value[keyword] for keyword in KEYWORDS if keyword in value}
    return {"description": field["description"], **form}


def text_of(schema: dict[str, Any]) -> str:
    """Return a schema as the file has it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(text_of(with_settings(json.loads(SCHEMA.read_text()))))
