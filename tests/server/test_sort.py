"""SORT where several groups share the keyspace, and what a pattern says of slots; replies are compared elsewhere."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import server.commands.sort  # noqa: F401  (declares its commands)
from resp.values import OK, Error
from server.keyspace.home import Home
from server.keyspace.slots import key_slot
from server.types.sort import place_of
from tests.server.harness import Group

SLOTS = 16384
DENIED = (
    "ERR {} option of SORT denied in Cluster mode when keys formed by the pattern may be in different slots."
)


@pytest.fixture
def shared() -> Group:
    """A group with the slots of {t}, beside another with all others."""
    group = Group()
    groups = [2] * SLOTS
    groups[key_slot(b"{t}")] = 1
    group.view.home = Home(1, groups)
    group.run("RPUSH", "{t}l", "2", "1")
    group.run("MSET", "{t}w1", "5", "{t}w2", "4", "{t}fixed", "x")
    return group


class TestSharedKeyspace:
    @pytest.mark.parametrize(
        "pattern", ["w*", "*", "*{t}", "{}w*{t}", "{*}", "{t*}w", "{u}w*", "?{t}*", "[{t}*", "\\{t}*"]
    )
    @pytest.mark.parametrize("option", ["BY", "GET"])
    def test_patterns_that_may_lead_elsewhere_are_denied(
        self, shared: Group, option: str, pattern: str
    ) -> None:
        for name in ("SORT", "SORT_RO"):
            assert shared.run(name, "{t}l", option, pattern) == Error(DENIED.format(option).encode())

    def test_patterns_with_the_tag_in_front_are_followed(self, shared: Group) -> None:
        assert shared.run("SORT", "{t}l", "BY", "{t}w*", "GET", "#", "GET", "{t}w*") == [
            b"2",
            b"4",
            b"1",
            b"5",
        ]
        assert shared.run("SORT", "{t}l", "BY", "a{t}w*", "GET", "#") == [b"1", b"2"]

    def test_a_fixed_key_must_live_here_to_be_got_and_may_be_sorted_by(self, shared: Group) -> None:
        assert shared.run("SORT", "{t}l", "GET", "elsewhere") == Error(DENIED.format("GET").encode())
        assert shared.run("SORT", "{t}l", "GET", "{t}fixed") == [None, None]
        assert shared.run("SORT", "{t}l", "BY", "elsewhere") == [b"2", b"1"]

    def test_the_first_wrong_option_is_told(self, shared: Group) -> None:
        assert shared.run("SORT", "{t}l", "LIMIT", "x", "1", "BY", "w*") != Error(
            DENIED.format("BY").encode()
        )
        assert shared.run("SORT", "{t}l", "BY", "w*", "NOPE") == Error(DENIED.format("BY").encode())


class TestAlone:
    def test_any_pattern_is_followed(self) -> None:
        group = Group()
        group.run("SADD", "s", "2", "1", "3")
        assert group.run("MSET", "w1", "2", "x2y", "1") == OK
        assert group.run("SORT", "s", "BY", "nosuch*", "GET", "w*", "GET", "x*y") == [
            b"2",
            None,
            None,
            b"1",
            None,
            None,
        ]

    @given(st.lists(st.integers(-(10**20), 10**20) | st.floats(allow_nan=False), max_size=30), st.booleans())
    def test_numbers_are_in_order(self, numbers: list[float], descending: bool) -> None:
        group = Group()
        if numbers:
            group.run("RPUSH", "l", *(repr(number) for number in numbers))
        found = [float(text) for text in group.run("SORT", "l", "DESC" if descending else "ASC")]
        assert sorted(found) == sorted(map(float, numbers))
        assert all(one >= other if descending else one <= other for one, other in pairwise(found))

    @given(st.sets(st.binary(max_size=5), min_size=1), st.integers(-3, 20), st.integers(-3, 20))
    def test_a_limit_is_a_slice(self, members: set[bytes], start: int, count: int) -> None:
        group = Group()
        group.run("SADD", "s", *members)
        everything = sorted(members, key=lambda member: member.partition(b"\0")[0])
        texts = [
            member.partition(b"\0")[0]
            for member in group.run("SORT", "s", "ALPHA", "LIMIT", str(start), str(count))
        ]
        first = max(start, 0)
        expected = everything[first:] if count < 0 else everything[first : first + count]
        assert texts == [member.partition(b"\0")[0] for member in expected]


@given(st.text("{}*?[\\ab", max_size=8), st.text("ab1", max_size=3))
def test_a_pattern_with_a_place_makes_only_keys_of_that_slot(pattern: str, element: str) -> None:
    place = place_of(pattern.encode())
    if place is not None and not set("?[\\") & set(pattern):
        assert key_slot(pattern.replace("*", element, 1).encode()) == key_slot(place)
