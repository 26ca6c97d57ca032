"""Plain values of the wrong kind, and trees of plain values with something wrong in them."""

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

_NUMBERS = (
    0, -1, 1, 2, 3, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -(2**31), 2**63, -(2**63), 10**30,
    0.0, -0.0, 0.5, 1.0, 1.5, 1e-320, 1e308, float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
_TEXTS = (
    "", " ", "0", "1", "-1", "1e400", "nan", "inf", "null", "true", "~", "1,5", "0.7x", "x", "\n",
    "a\nb", "\r", "\t", "\0", "\x1b[2J", "\x85", "\u2028", "é", "e\u0301", "💥", "=1+1", "'", '"',
    "../..", "/", "a" * 5000, "%s", "{}", "{0}",
)  # fmt: skip

odd_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(_NUMBERS),
    st.sampled_from(_TEXTS),
    st.integers(-(2**40), 2**40),
    st.floats(),
    # No half of a surrogate pair: neither UTF-8 nor JSON files hold one.
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
odd_values = st.recursive(
    odd_scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(_TEXTS) | st.text("abc_.", max_size=5), inner, max_size=4)
    ),
    max_leaves=6,
)

Place = tuple[Any, ...]


def spoil_tree(tree: Any, values: SearchStrategy = odd_values, most: int = 2) -> SearchStrategy:
    """A tree of dicts and lists with up to so many things changed: values, keys, order, presence.

    Args:
        tree: Left as it is.
        values: What may come in the place of another value.
        most: Changes.
    """
    return _spoil_tree(tree, values, most)


@st.composite
def _spoil_tree(draw: DrawFn, tree: Any, values: SearchStrategy, most: int) -> Any:
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, most))):
        places = list(places_in(tree))
        if not places:
            return draw(values)
        *path, key = draw(st.sampled_from(places))
        home = tree
        for part in path:
            home = home[part]
        way = draw(st.sampled_from(("set", "set", "set", "drop", "nest", "swap", "add", "root")))
        if way == "set":
            home[key] = draw(values)
        elif way == "drop":
            del home[key]
        elif way == "nest":
            home[key] = [home[key]] if draw(st.booleans()) else {"a": home[key]}
        elif way == "swap":
            other = draw(
                st.sampled_from(list(home) if isinstance(home, dict) else range(len(home)))
            )
            home[key], home[other] = home[other], home[key]
        elif way == "add" and isinstance(home, dict):
            home[draw(odd_scalars.filter(lambda value: value == value))] = draw(values)
        elif way == "root" and draw(st.integers(0, 4)) == 0:
            tree = draw(values)
    return tree


def places_in(tree: Any, path: Place = ()) -> Iterator[Place]:
    """The keys and indices that lead to every value of a tree, but for the tree itself."""
    entries: Any = ()
    if isinstance(tree, dict):
        entries = tree.items()
    elif isinstance(tree, list):
        entries = enumerate(tree)
    for key, value in entries:
        yield (*path, key)
        yield from places_in(value, (*path, key))
