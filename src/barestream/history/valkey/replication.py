"""Whether Valkey's replication fits what a failover needs. Pure."""

from barestream.history.misfit import Misfit
from barestream.history.valkey.info import figures

# INFO has it only if min-replicas-to-write is set.
_MIN_REPLICAS = "min_slaves_good_slaves"


def replication_misfits(info: bytes, replicas: int) -> list[Misfit]:
    """Return the misfits of a primary that another server may take the place of.

    Args:
        info: Valkey's answer to INFO replication.
        replicas: How many replicas have to confirm a write.
    """
    of_replication = figures(info)
    found = []
    if _MIN_REPLICAS not in of_replication:
        found.append(
            Misfit(
                "a primary that is cut off goes on accepting updates, and a failover loses them",
                {},
                "set min-replicas-to-write 1 and min-replicas-max-lag 3 on each server, so that it "
                "refuses updates without a replica",
            )
        )
    connected = int(of_replication.get("connected_slaves", 0))
    if connected < replicas:
        found.append(
            Misfit(
                "Valkey has too few replicas: no update can be confirmed",
                {"connected_replicas": connected, "broker_replicas": replicas},
                "start the replicas, or set BARESTREAM_BROKER_REPLICAS lower",
            )
        )
    return found
