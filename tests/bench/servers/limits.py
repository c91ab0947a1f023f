"""Settings that a bench needs otherwise than a service."""

import resource

# 10,000 streams through one worker of nginx take 20,000 files, and some; more is not asked for,
# because nginx has memory for each that it may open.
_MOST_FILES = 32768


def open_files() -> int:
    """Return how many files a process is to have open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)


# What would refuse a bench, whose streams come from few addresses; nothing else is changed.
WIDE = {
    "nofile": open_files(),
    "streams_per_address": 65535,
    # A tenth of its files is for what is no stream: it does not start with more than it can hold.
    "streams_per_worker": open_files() * 9 // 10,
    "publish_rate": 100_000,
}
