"""The parts of bareASGI that the application and its router are built on here, and that bareASGI
does not document.

Read bareASGI's application.py, http/http_instance.py and basic_router.py again before an upgrade.
"""

from bareasgi import Application
from bareasgi.basic_router import BasicHttpRouter
from bareasgi.basic_router.path_definition import PathDefinition
from bareasgi.http import HttpInstance
from bareasgi.http.http_errors import HttpDisconnectError, HttpInternalError

__all__ = [
    "Application",
    "BasicHttpRouter",
    "HttpDisconnectError",
    "HttpInstance",
    "HttpInternalError",
]

READ_IN = {"bareasgi": "4.4.1"}

# By class: the methods that are overridden or called, and the attributes that are used.
PARTS = {
    Application: ("_handle_http_request", "http_router", "info", "middlewares"),
    HttpInstance: (
        *("_handle_request", "_receive_request", "_send_response", "_send_response_events"),
        *("handler", "process", "scope"),
    ),
    BasicHttpRouter: ("_routes", "resolve"),
    PathDefinition: ("match",),
}
