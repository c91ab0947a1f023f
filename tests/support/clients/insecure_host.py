"""A name of this machine. Its pages without TLS, unlike localhost's, are no secure context."""

HOST = "hub.test"
