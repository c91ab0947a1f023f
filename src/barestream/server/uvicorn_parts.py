"""The parts of uvicorn that the server builds on, and that uvicorn does not document.

Read uvicorn's httptools_impl.py, flow_control.py and server.py again before an upgrade.
"""

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server, ServerState
from uvicorn_worker import UvicornWorker

__all__ = ["HttpToolsProtocol", "RequestResponseCycle", "Server", "ServerState", "UvicornWorker"]

READ_IN = {"uvicorn": "0.54.0", "uvicorn-worker": "0.4.0"}

# By class: the methods that are overridden or called, and the attributes that are used.
PARTS = {
    HttpToolsProtocol: (
        *("connection_made", "data_received", "eof_received", "connection_lost"),
        *("on_message_begin", "on_url", "on_headers_complete", "on_body", "on_message_complete"),
        *("on_response_complete", "timeout_keep_alive_handler", "_unset_keepalive_if_required"),
        *("pause_writing", "resume_writing"),
        *("client", "connections", "cycle", "flow", "headers", "loop", "parser", "pipeline"),
        *("scope", "server_state", "transport", "url"),
    ),
    RequestResponseCycle: (
        *("chunked_encoding", "disconnected", "keep_alive", "message_event", "more_body"),
        *("response_complete", "response_started", "scope", "transport"),
    ),
    FlowControl: ("read_paused", "resume_reading", "write_paused"),
    Server: (
        *("handle_exit", "serve", "shutdown", "startup"),
        *("lifespan", "server_state", "servers", "should_exit", "started"),
    ),
    ServerState: ("connections", "tasks", "total_requests"),
    UvicornWorker: ("CONFIG_KWARGS", "_serve", "config", "init_process", "init_signals"),
}
