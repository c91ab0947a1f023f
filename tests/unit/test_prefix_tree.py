"""The tree finds every key that a text starts with, as a comparison with each key would."""

from hypothesis import given
from hypothesis import strategies as st

from barestream.delivery.prefix_tree import PrefixTree

# Few letters, so that many texts start alike.
TEXTS = st.text("abé", max_size=6)


def tree_of(*keys: str) -> PrefixTree[str]:
    tree: PrefixTree[str] = PrefixTree()
    for key in keys:
        tree.setdefault(key, lambda key=key: key)  # type: ignore[misc]
    return tree


def nodes(tree: PrefixTree[str]) -> int:
    found, left = 0, [tree._root]
    while left:
        node = left.pop()
        found += 1
        left += (node.below or {}).values()
    return found


def test_a_text_finds_all_keys_that_are_its_prefixes_the_shortest_first() -> None:
    tree = tree_of("news/sport", "", "news/", "newsletter", "n")
    assert tree.prefixes("news/sport/1") == ["", "n", "news/", "news/sport"]
    assert tree.prefixes("news") == ["", "n"]
    assert tree.prefixes("") == [""]


def test_a_value_is_made_once() -> None:
    tree: PrefixTree[list[int]] = PrefixTree()
    tree.setdefault("a", list).append(1)
    tree.setdefault("a", list).append(2)
    assert tree.get("a") == [1, 2]
    assert tree.get("") is tree.get("ab") is None


def test_a_lookup_visits_only_its_own_path() -> None:
    class Counting(str):
        compared = 0

        def startswith(self, *arguments: object) -> bool:
            Counting.compared += 1
            return super().startswith(*arguments)  # type: ignore[arg-type]

    tree = tree_of(*("a" * length + "b" for length in range(2000)))
    assert tree.prefixes(Counting("aab")) == ["aab"]
    assert Counting.compared <= 4


@given(st.lists(st.tuples(TEXTS, st.booleans())), st.lists(TEXTS))
def test_a_tree_holds_and_finds_the_same_keys_as_a_set(
    steps: list[tuple[str, bool]], looked_up: list[str]
) -> None:
    tree = tree_of()
    model: set[str] = set()
    for key, is_added in steps:
        if is_added:
            tree.setdefault(key, lambda key=key: key)  # type: ignore[misc]
            model.add(key)
        else:
            tree.discard(key)
            model.discard(key)
        assert bool(tree) == bool(model)
    assert sorted(tree.values()) == sorted(model)
    for text in [*looked_up, *model]:
        expected = sorted((key for key in model if text.startswith(key)), key=len)
        assert tree.prefixes(text) == expected
        assert tree.get(text) == (text if text in model else None)
    # At most a node for each text and for each place at which two texts differ.
    assert nodes(tree) <= 2 * len(model) + 1


@given(st.lists(TEXTS, unique=True))
def test_discarded_keys_leave_nothing_behind(keys: list[str]) -> None:
    tree = tree_of(*keys)
    for key in keys:
        tree.discard(key)
    assert not tree
    assert nodes(tree) == 1
