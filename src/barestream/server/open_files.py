"""How many files a process may have open: each connection is one."""

import resource

# Files of a process that are not clients: standard streams, pipes, epoll, metrics, Valkey.
OWN_FILES = 64

# Connections that are not streams: other requests, and streams that are turned away.
REQUEST_FILES = 32


def raise_limit() -> int:
    """Raise the soft limit of this process, and of its children, to the hard limit.

    Returns:
        How many files the process may open.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return limit()


def limit() -> int:
    """Return how many files this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    # RLIM_INFINITY is -1.
    return soft if soft != resource.RLIM_INFINITY else 2**31


def most_connections() -> int:
    """Return how many connections this process can hold beside its own files."""
    return limit() - OWN_FILES


def most_streams() -> int:
    """Return how many of these connections may be streams."""
    return most_connections() - REQUEST_FILES
