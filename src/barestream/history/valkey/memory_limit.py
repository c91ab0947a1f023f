"""Valkey's memory, and whether it fits the bounds of the history."""

from barestream.history.misfit import Misfit
from barestream.history.valkey.info import figures


def memory(info: bytes) -> tuple[int, int]:
    """Return the memory that Valkey takes, and its bound, which is 0 where it has none.

    Args:
        info: Valkey's answer to INFO memory.
    """
    found = figures(info)
    return int(found.get("used_memory", 0)), int(found.get("maxmemory", 0))


def misfits(info: bytes, history_bytes: int) -> list[Misfit]:
    """Return the misfits.

    Args:
        info: Valkey's answer to INFO memory.
        history_bytes: How large the history may be.
    """
    of_memory = figures(info)
    found = []
    most_bytes = int(of_memory.get("maxmemory", 0))
    # The memory of an empty Valkey, without buffers of clients.
    own_bytes = int(of_memory.get("used_memory_startup", 0))
    if most_bytes and history_bytes + own_bytes > most_bytes:
        found.append(
            Misfit(
                "the history does not fit into Valkey's memory: Valkey will refuse updates",
                {"history_bytes": history_bytes, "maxmemory_bytes": most_bytes},
                "set BARESTREAM_HISTORY_BYTES lower, or give Valkey more memory "
                "(BARESTREAM_VALKEY_MEMORY, or its maxmemory)",
            )
        )
    policy = of_memory.get("maxmemory_policy", "noeviction")
    if most_bytes and policy != "noeviction":
        found.append(
            Misfit(
                "Valkey may delete the history when its memory is full",
                {"maxmemory_policy": policy},
                "set Valkey's maxmemory-policy to noeviction",
            )
        )
    return found
