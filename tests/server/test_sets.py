"""Sets against Python's own, small and large; drawing is fair, paging misses nothing, and what is gone is gone."""

from binascii import crc32
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from server.keyspace import events
from server.keyspace.layout import SET
from server.types import crc_order
from tests.server.harness import Group

keys = st.sampled_from(["a", "b", "c"])
members = st.lists(
    st.integers(0, 300).map(str) | st.integers(0, 30).map(lambda n: "w" * 40 + str(n)), max_size=200
)


class Sets(RuleBasedStateMachine):
    """Every command against a set of Python."""

    def __init__(self) -> None:
        super().__init__()
        self.group = Group()
        self.model: dict[str, set[bytes]] = {"a": set(), "b": set(), "c": set()}

    @rule(key=keys, members=members)
    def add(self, key: str, members: list[str]) -> None:
        if members:
            new = {member.encode() for member in members} - self.model[key]
            assert self.group.run("SADD", key, *members) == len(new)
            self.model[key] |= new

    @rule(key=keys, members=members)
    def remove(self, key: str, members: list[str]) -> None:
        if members:
            old = {member.encode() for member in members} & self.model[key]
            assert self.group.run("SREM", key, *members) == len(old)
            self.model[key] -= old

    @rule(key=keys, count=st.sampled_from([0, 1, 5, 100, 1000]))
    def pop(self, key: str, count: int) -> None:
        popped = set(self.group.run("SPOP", key, str(count)).value)
        assert popped <= self.model[key]
        assert len(popped) == min(count, len(self.model[key]))
        self.model[key] -= popped

    @rule(key=keys, count=st.sampled_from([1, 5, 100, 1000]))
    def draw(self, key: str, count: int) -> None:
        model = self.model[key]
        drawn = self.group.run("SRANDMEMBER", key, str(count))
        assert set(drawn) <= model
        assert len(set(drawn)) == len(drawn) == min(count, len(model))
        repeated = self.group.run("SRANDMEMBER", key, str(-count))
        assert set(repeated) <= model
        assert len(repeated) == (count if model else 0)

    @rule(source=keys, destination=keys, member=st.integers(0, 300).map(str))
    def move(self, source: str, destination: str, member: str) -> None:
        moved = member.encode() in self.model[source]
        assert self.group.run("SMOVE", source, destination, member) == moved
        if moved:
            self.model[source].discard(member.encode())
            self.model[destination].add(member.encode())

    @rule(destination=keys, first=keys, second=keys, name=st.sampled_from(["SINTER", "SUNION", "SDIFF"]))
    def combine(self, destination: str, first: str, second: str, name: str) -> None:
        a, b = self.model[first], self.model[second]
        expected = {"SINTER": a & b, "SUNION": a | b, "SDIFF": a - b}[name]
        found = self.group.run(name, first, second).value
        assert (len(found), set(found)) == (len(expected), expected)
        assert self.group.run("SINTERCARD", "2", first, second, "LIMIT", "3") == min(len(a & b), 3)
        assert self.group.run(name + "STORE", destination, first, second) == len(expected)
        self.model[destination] = set(expected)

    @rule(key=keys, count=st.sampled_from([1, 10, 50]))
    def page_through(self, key: str, count: int) -> None:
        found: list[bytes] = []
        cursor = b"0"
        while True:
            cursor, page = self.group.run("SSCAN", key, cursor, "COUNT", str(count))
            found += page
            if cursor == b"0":
                break
        assert len(found) == len(self.model[key])
        assert set(found) == self.model[key]

    @invariant()
    def they_are_the_same(self) -> None:
        for key, model in self.model.items():
            members = self.group.run("SMEMBERS", key).value
            assert (len(members), set(members)) == (len(model), model)
            assert self.group.run("SCARD", key) == len(model)
            assert self.group.run("EXISTS", key) == bool(model)


TestSets = Sets.TestCase
TestSets.settings = settings(max_examples=30, stateful_step_count=20)


def spread(group: Group, count: int) -> None:
    for start in range(0, count, 100):
        group.run("SADD", "k", *(f"member:{number}" for number in range(start, min(start + 100, count))))


@pytest.mark.parametrize("count", [7, 700])
def test_every_member_is_drawn_as_often_as_any_other(count: int) -> None:
    group = Group()
    spread(group, count)
    collection = group.begin().collection(b"k", SET)
    assert collection is not None
    assert collection.spread == (count > 100)
    draws = 40 * count
    seen = Counter(crc_order.Table(collection).draw(count, group.view.random)[0] for _ in range(draws))
    assert len(seen) == count
    # The sum of squares is chi-squared with count - 1 degrees of freedom; seven deviations are never.
    chi_squared = sum((times - 40) ** 2 / 40 for times in seen.values())
    assert abs(chi_squared - (count - 1)) < 7 * (2 * (count - 1)) ** 0.5


def test_every_member_is_drawn_ahead_as_often_as_any_other() -> None:
    count, fills = 700, 1500
    group = Group()
    spread(group, count)
    collection = group.begin().collection(b"k", SET)
    assert collection is not None
    seen: Counter[bytes] = Counter()
    for _ in range(fills):
        sample = crc_order.Sample()
        sample.fill(collection, count, group.view.random)
        seen.update(sample.chosen[:16])
    assert len(seen) == count
    expected = seen.total() / count
    # Members of one bucket are drawn together, so that it is less than chi-squared among them and more between buckets.
    assert all(abs(times - expected) < 7 * expected**0.5 for times in seen.values())


def test_members_whose_checksums_were_chosen_are_drawn_too() -> None:
    group = Group()
    low = [b"%d" % number for number in range(200_000) if crc32(b"%d" % number) < 1 << 23]
    assert len(low) > 140
    group.run("SADD", "k", "x", *low)
    drawn = {group.run("SRANDMEMBER", "k") for _ in range(1500)}
    assert len(drawn) > 256


def test_a_page_does_not_end_between_equal_checksums() -> None:
    assert crc32(b"plumless") == crc32(b"buckeroo")
    group = Group()
    spread(group, 300)
    group.run("SADD", "k", "plumless", "buckeroo")
    pages = []
    cursor = b"0"
    while True:
        cursor, page = group.run("SSCAN", "k", cursor, "COUNT", "1")
        pages.append(page)
        if cursor == b"0":
            break
    assert sorted(map(len, pages)) == [*[1] * 300, 2]


def test_what_stays_is_seen_though_all_else_changes() -> None:
    group = Group()
    spread(group, 500)
    stays = {b"member:%d" % number for number in range(100)}
    seen: list[bytes] = []
    cursor, turn = b"0", 0
    while True:
        cursor, page = group.run("SSCAN", "k", cursor, "COUNT", "20")
        seen += page
        if cursor == b"0":
            break
        group.run("SREM", "k", *(f"member:{100 + 10 * turn + number}" for number in range(10)))
        group.run("SADD", "k", *(f"new:{10 * turn + number}" for number in range(10)))
        turn += 1
    assert turn > 10
    assert stays <= set(seen)
    assert all(times == 1 for member, times in Counter(seen).items() if member in stays)


@pytest.mark.parametrize(
    ("count", "popped", "encoding"),
    [
        (200, 160, b"hashtable"),
        (200, 167, b"listpack"),
        (2000, 1000, b"hashtable"),
        (2000, 1700, b"hashtable"),
    ],
)
def test_popping_most_of_a_set_makes_it_small_again(count: int, popped: int, encoding: bytes) -> None:
    group = Group()
    spread(group, count)
    assert group.run("OBJECT", "ENCODING", "k") == b"hashtable"
    group.run("SPOP", "k", str(popped))
    assert group.run("OBJECT", "ENCODING", "k") == encoding


def test_one_member_of_a_large_set_is_one_record_and_the_head() -> None:
    group = Group()
    spread(group, 3000)
    for request in (["SADD", "k", "new"], ["SREM", "k", "member:7"], ["SPOP", "k"]):
        group.run(*request)
        assert len(group.written) == 2
    group.run("SADD", "k", "new")
    assert group.written == {}


def test_events() -> None:
    group = Group()
    heard: list[tuple[bytes, bytes]] = []

    def run(*request: str) -> list[tuple[bytes, bytes]]:
        heard.clear()
        group.view.notify = events.ALL
        group.run(*request)
        heard.extend((name, key) for _, name, _, key in group.view.events)
        group.view.events.clear()
        return heard

    assert run("SADD", "a", "1", "2", "3") == [(b"sadd", b"a")]
    assert run("SADD", "a", "1") == []
    assert run("SREM", "a", "9") == []
    assert run("SREM", "a", "1") == [(b"srem", b"a")]
    assert run("SMOVE", "a", "b", "2") == [(b"srem", b"a"), (b"sadd", b"b")]
    assert run("SMOVE", "a", "b", "3") == [(b"srem", b"a"), (b"del", b"a"), (b"sadd", b"b")]
    assert run("SUNIONSTORE", "c", "b", "a") == [(b"sunionstore", b"c")]
    assert run("SINTERSTORE", "c", "b", "a") == [(b"del", b"c")]
    assert run("SINTERSTORE", "c", "b", "a") == []
    assert run("SDIFFSTORE", "c", "b", "a") == [(b"sdiffstore", b"c")]
    assert run("SPOP", "c") == [(b"spop", b"c")]
    assert run("SPOP", "c", "9") == [(b"spop", b"c"), (b"del", b"c")]
    assert run("SPOP", "c", "9") == []


def test_how_a_set_is_held_counts_what_it_held() -> None:

    group = Group()
    group.run("SADD", "k", *map(str, range(513)))
    assert group.run("OBJECT", "ENCODING", "k") == b"hashtable"
    group.run("SREM", "k", *map(str, range(512)))
    assert group.run("OBJECT", "ENCODING", "k") == b"hashtable"


order_members = st.integers(0, 60).map(str) | st.integers(0, 60).map(lambda n: "w" * 30 + str(n))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.lists(order_members, min_size=1, max_size=30)), max_size=12))
def test_a_small_set_is_in_order(steps: list[tuple[bool, list[str]]]) -> None:
    """An intset by value, a listpack as its members were added, in the head or in records of their own."""
    group = Group()
    model: dict[bytes, None] = {}
    for adds, members in steps:
        for member in members:
            if adds:
                was_intset = group.run("OBJECT", "ENCODING", "k") == b"intset"
                if was_intset and not member.isdigit():
                    model = dict.fromkeys(sorted(model, key=int))
                model[member.encode()] = None
            else:
                model.pop(member.encode(), None)
            group.run("SADD" if adds else "SREM", "k", member)
            if not group.run("EXISTS", "k"):
                model = {}
        encoding = group.run("OBJECT", "ENCODING", "k")
        for command in ("DUMP", "COPY"):
            group.run("DEL", "l")
            if command == "COPY":
                group.run("COPY", "k", "l")
            elif model:
                group.run("RESTORE", "l", "0", group.run("DUMP", "k"))
            shown = group.run("SMEMBERS", "l").value
            assert shown == group.run("SMEMBERS", "k").value
            assert shown == (sorted(model, key=int) if encoding == b"intset" else list(model))
        assert group.run("SSCAN", "k", "0", "COUNT", "3")[1] == shown


def test_a_listpack_that_was_one_of_integers_keeps_its_order_in_records_of_its_own() -> None:
    group = Group()
    group.run("SADD", "k", *(str(10**9 + 7 * number % 100) for number in range(100)))
    integers = sorted(group.run("SMEMBERS", "k").value)
    assert group.begin().collection(b"k", SET).spread
    group.run("SADD", "k", "word")
    group.run("SREM", "k", integers[3])
    group.run("SADD", "k", integers[3], "more")
    assert group.run("OBJECT", "ENCODING", "k") == b"listpack"
    assert group.run("SMEMBERS", "k").value == [*integers[:3], *integers[4:], b"word", integers[3], b"more"]
