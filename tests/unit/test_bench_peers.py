from pathlib import Path

import pytest

from bench.servers import KEYS, Peers
from bench.servers.cache import MissingError

NOWHERE = Path("/nowhere")


def test_mercures_hub_is_left_out_by_name_where_no_program_is_given() -> None:
    assert list(Peers(NOWHERE).left_out()) == ["Mercure's hub (no --mercure)"]
    assert not Peers(NOWHERE).durable()


def test_a_peer_is_left_out_by_name_where_an_option_says_so() -> None:
    peers = Peers(NOWHERE, Path("mercure"), frozenset({"nchan", "centrifugo"}))
    assert list(peers.left_out()) == ["nchan (--without)", "Centrifugo (--without)"]


def test_an_error_names_go_where_it_is_missing_and_the_option_that_leaves_its_peer_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    peers = Peers(NOWHERE, without=frozenset(KEYS) - {"centrifugo"})
    with pytest.raises(MissingError) as raised:
        peers.alone()
    assert str(raised.value) == (
        "Centrifugo cannot be had: go is missing: install Go 1.26 or later\n"
        "To leave it out: --without centrifugo"
    )


def test_a_path_of_mercures_hub_that_is_no_program_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.touch()
    for path in (text, tmp_path / "missing", tmp_path):
        with pytest.raises(MissingError, match=f"--mercure {path}: this is no program"):
            Peers(NOWHERE, path).durable()


def test_a_peer_with_a_program_of_mercures_hub_has_one_that_writes_to_the_disk(
    tmp_path: Path,
) -> None:
    program = tmp_path / "mercure"
    program.touch()
    program.chmod(0o755)
    [make] = Peers(NOWHERE, program).durable()
    assert make().name == "Mercure's hub with Bolt"
