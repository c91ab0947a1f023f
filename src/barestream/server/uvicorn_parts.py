"""The undocumented parts of uvicorn that the server uses.

tests/unit/test_library_parts.py compares the installed uvicorn with this file.
"""

from uvicorn import Config
from uvicorn.lifespan.on import LifespanOn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import Server, ServerState
from uvicorn_worker import UvicornWorker

__all__ = [
    "STATUS_LINE",
    "FlowControl",
    "HttpToolsProtocol",
    "RequestResponseCycle",
    "Server",
    "ServerState",
    "UvicornWorker",
]

# The versions in which the parts were read.
READ_IN = {"uvicorn": "0.54.0", "uvicorn-worker": "0.4.0"}

# By class: the methods that are overridden or called here, with their parameters, and the
# attributes that are read or set here.
PARTS = {
    HttpToolsProtocol: (
        # Overridden: asyncio calls them.
        *("connection_made(self, transport)", "connection_lost(self, exc)"),
        *("data_received(self, data)", "eof_received(self)"),
        *("pause_writing(self)", "resume_writing(self)"),
        # Overridden: the parser calls them.
        *("on_message_begin(self)", "on_url(self, url)", "on_headers_complete(self)"),
        *("on_body(self, body)", "on_message_complete(self)"),
        # Overridden: a cycle calls the first, a timer the second.
        *("on_response_complete(self)", "timeout_keep_alive_handler(self)"),
        # Called in data_received, as uvicorn's own does.
        "_unset_keepalive_if_required(self)",
        # Overridden: called for each request that is to begin, in on_headers_complete and, for a
        # pipelined one, in on_response_complete.
        "_start_asgi_task(self, cycle, app)",
        *("client", "config", "connections", "cycle", "flow", "loop", "scope", "server_state"),
        *("tasks", "transport", "url"),
        # Set too: headers to a copy, parser to one of a body alone, pipeline to a smaller one.
        *("headers", "parser", "pipeline"),
        # connection.py sets what uvicorn's own __init__ and connection_made set.
        "__init__(self, config, server_state, app_state, _loop)",
        *("access_log", "access_logger", "app", "app_state", "asgi_version"),
        *("expect_100_continue", "limit_concurrency", "logger", "root_path", "scheme", "server"),
        *("timeout_keep_alive", "timeout_keep_alive_task", "ws_protocol_class"),
    ),
    RequestResponseCycle: (
        # Begun without a task.
        "async run_asgi(self, app)",
        *("access_log", "body", "default_headers", "flow", "message_event", "more_body", "scope"),
        "on_response",
        # Set too.
        *("chunked_encoding", "disconnected", "keep_alive", "transport"),
        *("response_complete", "response_started", "waiting_for_100_continue"),
    ),
    FlowControl: (
        "__init__(self, transport)",
        "read_paused",
        "resume_reading(self)",
        "write_paused",
    ),
    LifespanOn: ("state",),
    Config: (
        *("app", "asgi_version", "limit_concurrency", "load(self)", "loaded", "reset_contextvars"),
        *("loaded_app", "root_path", "timeout_keep_alive", "ws_protocol_class"),
    ),
    Server: (
        # Overridden. uvicorn calls handle_exit as a signal's handler, and the others in this order.
        *("async serve(self, sockets)", "async startup(self, sockets)"),
        *("async shutdown(self, sockets)", "handle_exit(self, sig, frame)"),
        *("lifespan", "servers", "started"),
        # Set too.
        *("server_state", "should_exit"),
    ),
    ServerState: ("connections", "tasks", "total_requests"),
    UvicornWorker: (
        # Overridden: Gunicorn calls the first two, the worker's run the third.
        *("init_process(self)", "init_signals(self)", "async _serve(self)"),
        *("CONFIG_KWARGS", "config"),
    ),
}

# What uvicorn itself uses of the two objects that are replaced here: a cycle's transport
# (bounded_protocol.py) and a connection's pipeline (protocol.py).
USED_OF_REPLACED = {
    (RequestResponseCycle, "transport"): {"close", "is_closing", "write"},
    (HttpToolsProtocol, "pipeline"): {"appendleft", "pop"},
}
