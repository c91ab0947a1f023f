"""The parts of bareASGI that the application and its router build on, and that bareASGI does not
document.

tests/unit/test_library_parts.py compares the installed bareASGI with this file.
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

# The version in which the parts were read.
READ_IN = {"bareasgi": "4.4.1"}

# By class: the methods that are overridden or called here, with their parameters, and the
# attributes that are read or set here.
PARTS = {
    Application: (
        # Overridden: the ASGI call awaits it for each request.
        "async _handle_http_request(self, scope, receive, send)",
        *("http_router", "info", "middlewares"),
    ),
    HttpInstance: (
        "__init__(self, scope, router, middleware, info)",
        "async process(self, receive, send)",
        # Overridden: process awaits them in this order.
        "async _receive_request(self, receive)",
        "async _handle_request(self, receive, request_event)",
        "async _send_response(self, receive, send, response)",
        *("info", "matches", "scope"),
        # Set too: around each handler whose request has an unread body.
        "handler",
    ),
    BasicHttpRouter: (
        "__init__(self, not_found_response)",
        # Overridden.
        "resolve(self, method, path)",
        # By method: pairs of a PathDefinition and a handler, in the order of add.
        "_routes",
    ),
    PathDefinition: ("match(self, path)",),
}
