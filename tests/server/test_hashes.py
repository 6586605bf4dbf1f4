"""Hashes on one group, with time that moves by hand: what a transcript against Valkey can not show."""

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resp.values import Error
from server.errors import OUT_OF_RANGE, WRONG_TYPE
from server.keyspace import events
from server.keyspace.layout import HASH, STRING, elements_expiry_range
from server.keyspace.limits import DEFAULTS
from server.types import hashes
from tests.server.harness import Group

NOW_MS = 1_700_000_000_000


@pytest.fixture
def group() -> Group:
    return Group(NOW_MS)


def sweep(group: Group, limit: int = 200) -> int:
    """What the leader does now and then: the fields whose time has come are deleted. How many they were."""
    deleted = 0
    for row, _ in list(group.store.scan(*elements_expiry_range(group.now_ms))):
        key = group.begin().select_due(row)
        if key is not None:
            deleted += hashes.expire_due(group.view, key, limit)
        group.commit()
    return deleted


def rows(group: Group) -> list[bytes]:
    """The rows of the keys with fields that expire."""
    return [row for row, _ in group.store.scan(b"y", b"z")]


def elements(group: Group) -> list[bytes]:
    """The elements of all large collections, but those that wait to be swept."""
    orphans = {note[1:] for note, _ in group.store.scan(b"i", b"j")}
    return [key for key, _ in group.store.scan(b"e", b"f") if key[1:9] not in orphans]


def fill(group: Group, key: str, count: int) -> None:
    group.run("HSET", key, *(word for number in range(count) for word in (f"f{number}", f"v{number}")))


def scanned(group: Group, key: str, count: int) -> Iterator[list[bytes]]:
    """The pages of HSCAN."""
    cursor = b"0"
    while True:
        cursor, page = group.run("HSCAN", key, cursor, "COUNT", str(count), "NOVALUES")
        yield page
        if cursor == b"0":
            return


# -- against a model ------------------------------------------------------------------------------------------------

names = st.sampled_from([b"a", b"b", b"c", b"d", b"", b"n" * 70])
lives = st.sampled_from([0, 0, 5, 10, 20])
"""Milliseconds from now; 0: for ever."""
steps = st.one_of(
    st.tuples(st.just("set"), names, lives),
    st.tuples(st.just("expire"), names, lives),
    st.tuples(st.just("delete"), names, st.just(0)),
    st.tuples(st.just("wait"), st.just(b""), st.sampled_from([1, 5, 7])),
    st.tuples(st.just("sweep"), st.just(b""), st.sampled_from([1, 200])),
)


@settings(max_examples=200)
@given(st.lists(steps, max_size=40), st.sampled_from([0, 200]))
def test_a_hash_is_a_dictionary_whose_entries_end(
    sequence: list[tuple[str, bytes, int]], others: int
) -> None:
    group = Group(NOW_MS)
    model: dict[bytes, tuple[bytes, int]] = {}
    if others:
        fill(group, "h", others)
        model = {b"f%d" % number: (b"v%d" % number, 0) for number in range(others)}
    for number, (what, name, amount) in enumerate(sequence):
        model = {field: entry for field, entry in model.items() if not 0 < entry[1] <= group.now_ms}
        end = group.now_ms + amount if amount else 0
        value = b"%d" % number
        if what == "set" and end:
            assert group.run("HSETEX", "h", "PXAT", str(end), "FIELDS", "1", name, value) == 1
            model[name] = (value, end)
        elif what == "set":
            assert group.run("HSET", "h", name, value) == int(name not in model)
            model[name] = (value, 0)
        elif what == "expire" and end:
            assert group.run("HPEXPIREAT", "h", str(end), "FIELDS", "1", name) == [1 if name in model else -2]
            if name in model:
                model[name] = (model[name][0], end)
        elif what == "expire":
            group.run("HPERSIST", "h", "FIELDS", "1", name)
            if name in model:
                model[name] = (model[name][0], 0)
        elif what == "delete":
            assert group.run("HDEL", "h", name) == int(model.pop(name, None) is not None)
        elif what == "wait":
            group.now_ms += amount
        else:
            sweep(group, amount)
        there = {field: entry for field, entry in model.items() if not 0 < entry[1] <= group.now_ms}
        assert group.run("HGETALL", "h") == {field: held for field, (held, _) in there.items()}
        assert group.run("HLEN", "h") == len(there)
        assert group.run("HPEXPIRETIME", "h", "FIELDS", "1", name) == [
            there[name][1] or -1 if name in there else -2
        ]
    group.now_ms += 1000
    while sweep(group):
        pass
    left = {field for field, entry in model.items() if not entry[1]}
    assert group.view.key_count() == int(bool(left))
    assert rows(group) == []
    if not left:
        assert elements(group) == []


# -- time -----------------------------------------------------------------------------------------------------------


def test_a_field_is_gone_the_millisecond_its_time_comes(group: Group) -> None:
    group.run("HSET", "h", "a", "1", "b", "2")
    group.run("HPEXPIRE", "h", "10", "FIELDS", "1", "a")
    group.now_ms += 9
    assert group.run("HPTTL", "h", "FIELDS", "1", "a") == [1]
    group.now_ms += 1
    assert group.run("HGET", "h", "a") is None
    assert group.run("HSETNX", "h", "a", "new") == 1
    assert group.run("HTTL", "h", "FIELDS", "1", "a") == [-1]
    assert rows(group) == []


def test_a_hash_whose_fields_are_all_over_is_none_and_its_expiry_does_not_live_on(group: Group) -> None:
    group.run("HSETEX", "h", "PX", "10", "FIELDS", "1", "a", "1")
    group.view.put_head(b"h", group.begin().head(b"h")._replace(expire_ms=NOW_MS + 10_000))  # type: ignore[union-attr]
    group.commit()
    group.now_ms += 10
    assert group.run("HLEN", "h") == 0
    assert group.run("HRANDFIELD", "h") is None
    assert group.run("HSETEX", "h", "XX", "FIELDS", "1", "a", "1") == 0
    assert group.run("HSET", "h", "b", "1") == 1
    head = group.begin().head(b"h")
    assert head is not None
    assert head.expire_ms == 0
    assert rows(group) == []


def test_the_sweep_deletes_some_at_a_time(group: Group) -> None:
    fill(group, "h", 301)
    group.run("HPEXPIRE", "h", "10", "FIELDS", "300", *(f"f{number}" for number in range(300)))
    assert sweep(group) == 0
    group.now_ms += 10
    assert [sweep(group, 200) for _ in range(3)] == [200, 100, 0]
    assert group.run("HGETALL", "h") == {b"f300": b"v300"}
    assert len(elements(group)) == 1
    assert rows(group) == []


def test_the_key_goes_when_all_its_fields_are_over(group: Group) -> None:
    fill(group, "h", 300)
    group.run("HPEXPIRE", "h", "10", "FIELDS", "300", *(f"f{number}" for number in range(300)))
    group.now_ms += 10
    group.view.notify = events.ALL
    assert sweep(group, 1) == 1
    assert [name for _, name, _, _ in group.view.events] == [b"hexpired", b"del"]
    assert group.view.key_count() == 0
    assert rows(group) == []
    assert elements(group) == []


@pytest.mark.parametrize("count", [2, 300])
def test_whoever_has_the_fields_has_their_row(group: Group, count: int) -> None:
    fill(group, "h", count)
    group.run("HPEXPIRE", "h", "10", "FIELDS", "1", "f0")
    (row,) = rows(group)
    view = group.begin()
    head = view.head(b"h")
    assert head is not None
    view.put_head(b"moved", head)
    view.delete(b"h", keep_elements=True)
    view.put_head(b"copy", view.clone(head))
    group.commit()
    assert len(rows(group)) == 2
    assert row not in rows(group)
    group.now_ms += 10
    assert sweep(group) == 2
    assert group.run("HLEN", "moved") == group.run("HLEN", "copy") == count - 1
    group.run("HPEXPIRE", "copy", "10", "FIELDS", "1", "f1")
    group.run("SET", "copy", "x")
    assert rows(group) == []


def test_the_sweep_finds_a_key_in_its_database(group: Group) -> None:
    group.db = 3
    group.run("HSET", "h", "a", "1", "b", "2")
    group.run("HPEXPIRE", "h", "10", "FIELDS", "1", "a")
    group.db = 0
    group.begin().swap(3, 4)
    group.commit()
    group.now_ms += 10
    assert sweep(group) == 1
    group.db = 4
    assert group.run("HGETALL", "h") == {b"b": b"2"}


def test_a_row_of_a_flushed_database_is_dropped(group: Group) -> None:
    group.run("HSETEX", "h", "PX", "10", "FIELDS", "1", "a", "1")
    group.begin().flush()
    group.commit()
    group.now_ms += 10
    assert sweep(group) == 0
    assert rows(group) == []


# -- large hashes ---------------------------------------------------------------------------------------------------


def test_hscan_gives_every_field_once_in_pages(group: Group) -> None:
    fill(group, "h", 1000)
    pages = list(scanned(group, "h", 64))
    assert {len(page) for page in pages[:-1]} == {64}
    assert sorted(field for page in pages for field in page) == sorted(
        b"f%d" % number for number in range(1000)
    )


def test_hscan_gives_what_stays_while_fields_come_and_go(group: Group) -> None:
    fill(group, "h", 1000)
    seen: list[bytes] = []
    for number, page in enumerate(scanned(group, "h", 50)):
        seen += page
        group.run("HDEL", "h", *(f"f{other}" for other in range(500 + 10 * number, 510 + 10 * number)))
        group.run("HSET", "h", f"new{number}", "v")
    stayed = {b"f%d" % number for number in range(500)}
    assert {field: times for field, times in Counter(seen).items() if field in stayed} == dict.fromkeys(
        stayed, 1
    )


def test_a_page_does_not_end_between_fields_of_one_crc(group: Group) -> None:
    twins = ("plumless", "buckeroo")  # the well-known words of one crc32
    fill(group, "h", 600)
    group.run("HSET", "h", *(word for twin in twins for word in (twin, "v")))
    for page in scanned(group, "h", 1):
        assert not set(page) & {twin.encode() for twin in twins} or len(page) == 2


def test_a_command_on_one_field_of_many_writes_two_records(group: Group) -> None:
    fill(group, "h", 2000)
    group.run("HSET", "h", "f5", "new")
    assert len(group.written) == 2


@pytest.mark.parametrize("count", [20, 1000])
def test_every_field_is_as_likely(group: Group, count: int) -> None:
    fill(group, "h", count)
    expected = 20
    drawn: Counter[bytes] = Counter()
    for _ in range(20):
        drawn.update(group.run("HRANDFIELD", "h", str(-count * expected // 20 // 5)))
    draws = drawn.total()
    # Chi squared of so many degrees of freedom: its mean is that, its deviation sqrt(2 * that).
    mean = draws / count
    deviation = sum((drawn[b"f%d" % number] - mean) ** 2 / mean for number in range(count)) - (count - 1)
    assert abs(deviation) < 5 * (2 * count) ** 0.5


def test_hrandfield_finds_the_few_that_are_left_among_expired_ones(group: Group) -> None:
    fill(group, "h", 1000)
    group.run("HPEXPIRE", "h", "10", "FIELDS", "999", *(f"f{number}" for number in range(999)))
    group.now_ms += 10
    assert group.run("HRANDFIELD", "h") == b"f999"
    assert group.run("HRANDFIELD", "h", "3") == [b"f999"]
    assert group.run("HRANDFIELD", "h", "-3", "WITHVALUES") == [(b"f999", b"v999")] * 3


def test_different_random_fields_are_different(group: Group) -> None:
    fill(group, "h", 1000)
    for count in (1, 10, 240, 600, 1000):
        assert len(set(group.run("HRANDFIELD", "h", str(count)))) == count


def test_a_negative_count_has_a_limit(group: Group) -> None:
    group.run("HSET", "h", "a", "1")
    assert group.run("HRANDFIELD", "h", "-10000001") == Error(OUT_OF_RANGE)


# -- other types ----------------------------------------------------------------------------------------------------

ON_ANOTHER_TYPE = [
    *(
        "HGET k f",
        "HSET k f v",
        "HMSET k f v",
        "HSETNX k f v",
        "HMGET k f",
        "HGETALL k",
        "HKEYS k",
        "HVALS k",
    ),
    *("HLEN k", "HSTRLEN k f", "HEXISTS k f", "HDEL k f", "HINCRBY k f 1", "HINCRBYFLOAT k f 1", "HSCAN k 0"),
    *(
        "HRANDFIELD k",
        "HRANDFIELD k 2",
        "HGETDEL k FIELDS 1 f",
        "HGETEX k FIELDS 1 f",
        "HPERSIST k FIELDS 1 f",
    ),
    *("HSETEX k FIELDS 1 f v", "HEXPIRE k 9 FIELDS 1 f", "HPEXPIRE k 9 FIELDS 1 f", "HTTL k FIELDS 1 f"),
    *(
        "HEXPIREAT k 9 FIELDS 1 f",
        "HPEXPIREAT k 9 FIELDS 1 f",
        "HPTTL k FIELDS 1 f",
        "HEXPIRETIME k FIELDS 1 f",
    ),
    "HPEXPIRETIME k FIELDS 1 f",
]


@pytest.mark.parametrize("request_", ON_ANOTHER_TYPE)
def test_another_type_is_refused(group: Group, request_: str) -> None:
    group.begin().put(b"k", STRING, b"text")
    group.commit()
    assert group.run(*request_.split()) == Error(WRONG_TYPE)
    assert not group.written


def test_a_string_over_a_hash_is_a_string(group: Group) -> None:
    group.run("HSET", "h", "a", "1")
    head = group.begin().head(b"h")
    assert head is not None
    assert head.type == HASH
    assert group.run("GET", "h") == Error(WRONG_TYPE)
    group.run("SET", "h", "x")
    assert group.run("HGET", "h", "a") == Error(WRONG_TYPE)


# -- events ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ("HSET h a 1", "hset"),
        ("HSETNX h a 1", ""),
        ("HSETNX h z 1", "hset"),
        ("HINCRBY h a 1", "hincrby"),
        ("HINCRBYFLOAT h a 1", "hincrbyfloat"),
        ("HDEL h z", ""),
        ("HDEL h a", "hdel"),
        ("HDEL h a b", "hdel del"),
        ("HGETDEL h FIELDS 2 a b", "hdel del"),
        ("HEXPIRE h 100 FIELDS 2 a b", "hexpire"),
        ("HEXPIRE h 100 XX FIELDS 1 a", ""),
        ("HEXPIREAT h 0 FIELDS 1 a", "hexpired"),
        ("HEXPIREAT h 0 FIELDS 2 a b", "hexpired del"),
        ("HPERSIST h FIELDS 1 a", ""),
        ("HGETEX h FIELDS 1 a", ""),
        ("HGETEX h EX 100 FIELDS 1 a", "hexpire"),
        ("HGETEX h PXAT 1 FIELDS 2 a b", "hexpired del"),
        ("HSETEX h FIELDS 1 a 1", "hset"),
        ("HSETEX h EX 100 FIELDS 1 a 1", "hset hexpire"),
        ("HSETEX h PXAT 1 FIELDS 1 a 1", "hset hexpire hexpired"),
        ("HSETEX new PXAT 1 FIELDS 1 a 1", "hset hexpire hexpired del"),
    ],
)
def test_events_are_those_of_valkey(group: Group, request_: str, expected: str) -> None:
    group.run("HSET", "h", "a", "1", "b", "2")
    group.view.notify = events.ALL
    group.run(*request_.split())
    assert b" ".join(name for _, name, _, _ in group.view.events).decode() == expected


# -- order ----------------------------------------------------------------------------------------------------------

order_steps = st.tuples(
    st.sampled_from(["set", "set", "set", "delete"]),
    st.integers(0, 40).map(lambda n: b"field:%d" % n),
    st.sampled_from([b"", b"v" * 3, b"v" * 60]),
)


@settings(max_examples=60)
@given(st.lists(st.lists(order_steps, max_size=30), max_size=6))
def test_a_listpack_shows_its_fields_as_they_were_added(
    rounds: list[list[tuple[str, bytes, bytes]]],
) -> None:
    group = Group(NOW_MS)
    model: dict[bytes, bytes] = {}
    for steps in rounds:
        for what, name, value in steps:
            if what == "set":
                group.run("HSET", "h", name, value)
                model[name] = value
            else:
                group.run("HDEL", "h", name)
                model.pop(name, None)
        assert list(group.run("HGETALL", "h").items()) == list(model.items())
        assert group.run("HKEYS", "h") == list(model)
        assert group.run("HSCAN", "h", "0", "COUNT", "1", "NOVALUES") == [b"0", list(model)]
        if model:
            group.run("RESTORE", "r", "0", group.run("DUMP", "h"), "REPLACE")
            group.run("COPY", "r", "c", "REPLACE")
            group.run("HSET", "c", "last", "1")
            assert group.run("HKEYS", "c") == [*model, b"last"]


def test_a_restored_listpack_of_long_values_keeps_their_order(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DEFAULTS, "hash_max_listpack_value", 1 << 20)
    names = [b"field:%d" % number for number in range(30, 0, -1)]
    for name in names:
        group.run("HSET", "h", name, b"v" * 100)
    payload = group.run("DUMP", "h")
    monkeypatch.undo()
    group.run("RESTORE", "r", "0", payload)
    group.run("HSET", "r", names[3], "short")
    assert group.run("OBJECT", "ENCODING", "r") == b"listpack"
    assert group.run("HKEYS", "r") == group.run("HKEYS", "h") == names
