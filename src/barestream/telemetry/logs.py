"""Logging: one JSON object a line, to standard error, the same for every part."""

from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS


def log_config(level: str) -> dict[str, Any]:
    """Return the logging configuration (logging.config.dictConfig) for a least level."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "format": "{asctime}{levelname}{name}{process}{message}",
                "style": "{",
                # uvicorn says its message once more, in colours.
                "reserved_attrs": [*RESERVED_ATTRS, "color_message"],
                "rename_fields": {
                    "asctime": "time",
                    "levelname": "level",
                    "name": "logger",
                    "process": "pid",
                },
                "datefmt": "%Y-%m-%dT%H:%M:%S%z",
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"level": level.upper(), "handlers": ["stderr"]},
        "loggers": {
            "gunicorn.error": {"level": level.upper(), "handlers": ["stderr"], "propagate": False},
            # nginx has the access log.
            "gunicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
            # bareASGI's own debug lines name headers.
            "bareasgi": {"level": "INFO"},
        },
    }
