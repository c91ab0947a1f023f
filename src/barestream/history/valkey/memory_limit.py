"""Valkey's memory, and whether it fits the bounds of the history."""

from barestream.history.misfit import Misfit


def memory(info: bytes) -> tuple[int, int]:
    """Return the memory that Valkey takes, and its bound, which is 0 where it has none.

    Args:
        info: Valkey's answer to INFO memory.
    """
    figures = _figures(info)
    return int(figures.get("used_memory", 0)), int(figures.get("maxmemory", 0))


def misfits(info: bytes, history_bytes: int) -> list[Misfit]:
    """Return the misfits.

    Args:
        info: Valkey's answer to INFO memory.
        history_bytes: How large the history may be.
    """
    figures = _figures(info)
    found = []
    most_bytes = int(figures.get("maxmemory", 0))
    # The memory of an empty Valkey, without buffers of clients.
    own_bytes = int(figures.get("used_memory_startup", 0))
    if most_bytes and history_bytes + own_bytes > most_bytes:
        found.append(
            Misfit(
                "the history does not fit into Valkey's memory: Valkey will refuse updates",
                {"history_bytes": history_bytes, "maxmemory_bytes": most_bytes},
                "set BARESTREAM_HISTORY_BYTES lower, or give Valkey more memory "
                "(BARESTREAM_VALKEY_MEMORY, or its maxmemory)",
            )
        )
    policy = figures.get("maxmemory_policy", "noeviction")
    if most_bytes and policy != "noeviction":
        found.append(
            Misfit(
                "Valkey may delete the history when its memory is full",
                {"maxmemory_policy": policy},
                "set Valkey's maxmemory-policy to noeviction",
            )
        )
    return found


def _figures(info: bytes) -> dict[str, str]:
    lines = info.decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)
