"""Logging: one JSON object a line on standard error, for all parts of the service."""

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
                # uvicorn adds its message a second time, with colours.
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
            # nginx writes the access log.
            "gunicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
            # bareASGI's debug lines would contain headers, which may hold tokens.
            "bareasgi": {"level": "INFO"},
        },
    }
