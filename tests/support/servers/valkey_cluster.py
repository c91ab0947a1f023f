"""A cluster of three nodes: one has the history, one is its replica, one has all other slots."""

import contextlib

from support.servers.sentinel_group import has_all
from support.servers.service import free_port, wait_for
from support.servers.valkey_server import OPERATOR_PASSWORD, ValkeyServer

_SLOTS = 16_384


def _node() -> ValkeyServer:
    lines = [
        "cluster-enabled yes",
        # The default is a port that is not among those of free_port.
        f"cluster-port {free_port()}",
        # By default a primary waits 5 s for further replicas before it sends its data.
        "repl-diskless-sync-delay 0",
        "masteruser default",
        f'masterauth "{OPERATOR_PASSWORD}"',
    ]
    return ValkeyServer(further="\n".join(lines))


class ValkeyCluster:
    """A running cluster; a context.

    Attributes:
        other: The node that does not have the history.
        primary: The node that has it at first.
        replica: The replica of that.
    """

    def __init__(self) -> None:
        self.other, self.primary, self.replica = (_node() for _ in range(3))
        self._running = contextlib.ExitStack()

    @property
    def nodes(self) -> tuple[ValkeyServer, ...]:
        """All nodes."""
        return (self.other, self.primary, self.replica)

    def __enter__(self) -> "ValkeyCluster":
        with contextlib.ExitStack() as starting:
            for node in self.nodes:
                starting.enter_context(node)
            self._join()
            self._running = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _join(self) -> None:
        # Two primaries of the same epoch raise one of the two later, perhaps during a failover.
        for epoch, node in enumerate(self.nodes, 1):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        slot = int(self.other.ask("CLUSTER", "KEYSLOT", "{barestream}:log"))
        for first, last in ((0, slot - 1), (slot + 1, _SLOTS - 1)):
            self.other.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
        self.primary.ask("CLUSTER", "ADDSLOTS", slot)
        for node in (self.primary, self.replica):
            [_, bus] = node.ask("CONFIG", "GET", "cluster-port")
            self.other.ask("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        name = self.primary.ask("CLUSTER", "MYID").decode()
        # Until it has heard of the primary it refuses.
        wait_for("the replica", lambda: not self.replica.error("CLUSTER", "REPLICATE", name))
        wait_for("the link of the replica", lambda: self._link(self.replica) == "up")
        for node in self.nodes:
            wait_for("the cluster", lambda node=node: self._is_well(node))

    @staticmethod
    def _link(replica: ValkeyServer) -> str:
        return str(replica.ask("INFO", "replication")["master_link_status"])

    @staticmethod
    def _is_well(node: ValkeyServer) -> bool:
        info = node.ask("CLUSTER", "INFO")
        return b"cluster_state:ok" in info and b"cluster_known_nodes:3" in info

    def wait_for_copy(self) -> None:
        """Wait until the replica has all that the primary has."""
        wait_for("the copy", lambda: has_all(self.replica, self.primary))

    def fail_over(self) -> None:
        """Make the replica the primary, and the primary its replica."""
        self.wait_for_copy()
        self.take_over()
        self._wait_for_role(self.primary, "slave")

    def take_over(self) -> None:
        """Make the replica the primary, whether the primary lives or not."""
        # Without a vote: a busy machine may be too late for one.
        self.replica.ask("CLUSTER", "FAILOVER", "TAKEOVER")
        self._wait_for_role(self.replica, "master")

    @staticmethod
    def _wait_for_role(node: ValkeyServer, role: str) -> None:
        wait_for(f"a {role}", lambda: node.ask("INFO", "replication")["role"] == role)
