from barestream.history.valkey.replication import replication_misfits

CUT_OFF = "a primary that is cut off goes on accepting updates, and a failover loses them"
TOO_FEW = "Valkey has too few replicas: no update can be confirmed"


def info(connected: int, *more: str) -> bytes:
    lines = ("# Replication", "role:master", f"connected_slaves:{connected}", *more)
    return "\r\n".join(lines).encode()


def test_a_primary_that_refuses_updates_without_a_replica_is_no_misfit() -> None:
    assert replication_misfits(info(1, "min_slaves_good_slaves:1"), 1) == []


def test_a_primary_that_would_go_on_alone_is_named_with_the_remedy() -> None:
    [found] = replication_misfits(info(1), 1)
    assert found.what == CUT_OFF
    assert "min-replicas-to-write 1" in found.remedy


def test_too_few_replicas_are_named_with_their_number() -> None:
    [found] = replication_misfits(info(1, "min_slaves_good_slaves:1"), 2)
    assert (found.what, found.figures) == (
        TOO_FEW,
        {"connected_replicas": 1, "broker_replicas": 2},
    )


def test_an_empty_answer_names_both() -> None:
    assert [each.what for each in replication_misfits(b"", 1)] == [CUT_OFF, TOO_FEW]
