"""String commands on one group: what a transcript against Valkey can not show.

Replies are compared with a real Valkey in tests/conformance; here are wrong types, what lies in the store afterwards,
limits, and time that stands still.
"""

import pytest

from resp.values import OK, Error
from server.errors import STRING_TOO_LONG, WRONG_TYPE
from server.keyspace.layout import LIST
from server.types import strings
from tests.server.harness import Group

NOW_MS = 1_700_000_000_000

REFUSED_ON_A_LIST = [
    "GET l",
    "SET l v GET",
    "SET l v NX GET",
    "SET l v IFEQ x",
    "GETSET l v",
    "GETDEL l",
    "GETEX l",
    "GETEX l EX 10",
    "DELIFEQ l x",
    "APPEND l x",
    "STRLEN l",
    "GETRANGE l 0 1",
    "SUBSTR l 0 1",
    "SETRANGE l 0 x",
    "INCR l",
    "DECR l",
    "INCRBY l 1",
    "DECRBY l 1",
    "INCRBYFLOAT l 1",
    "SETBIT l 0 1",
    "GETBIT l 0",
    "BITCOUNT l",
    "BITPOS l 1",
    "BITOP AND d l",
    "BITOP OR d s l",
    "BITFIELD l",
    "BITFIELD l SET u8 0 1",
    "BITFIELD_RO l GET u8 0",
]


@pytest.fixture
def group() -> Group:
    return Group(NOW_MS)


def with_list(group: Group) -> Group:
    """`l` is a list, `s` a string."""
    group.begin().put(b"l", LIST, b"")
    group.commit()
    group.run("SET", "s", "text")
    return group


def encoding(group: Group, key: bytes) -> int:
    head = group.begin().head(key)
    assert head is not None
    return head.encoding


def expire_ms(group: Group, key: bytes) -> int:
    head = group.begin().head(key)
    assert head is not None
    return head.expire_ms


@pytest.mark.parametrize("request_", REFUSED_ON_A_LIST)
def test_a_list_is_refused_and_left_alone(group: Group, request_: str) -> None:
    with_list(group)
    assert group.run(*request_.split()) == Error(WRONG_TYPE)
    assert group.written == {}
    head = group.begin().head(b"l")
    assert head is not None
    assert head.type == LIST


@pytest.mark.parametrize(
    "request_",
    ["SET l v", "SET l v XX", "SETEX l 10 v", "PSETEX l 10 v", "MSET l v", "MSETEX 1 l v", "MSETEX 1 l v XX"],
)
def test_a_list_is_replaced_by_what_sets_a_whole_value(group: Group, request_: str) -> None:
    with_list(group)
    assert group.run(*request_.split()) in (OK, 1)
    assert group.run("GET", "l") == b"v"


def test_bitop_replaces_a_list_as_its_destination(group: Group) -> None:
    with_list(group)
    assert group.run("BITOP", "NOT", "l", "s") == 4
    assert group.run("BITOP", "NOT", "l", "l") == 4
    assert group.run("GET", "l") == b"text"


def test_a_list_counts_as_there_for_conditions_and_as_nothing_for_mget(group: Group) -> None:
    with_list(group)
    assert group.run("SETNX", "l", "v") == 0
    assert group.run("MSETNX", "l", "v", "n", "v") == 0
    assert group.run("SET", "l", "v", "NX") is None
    assert group.run("MGET", "s", "l", "n") == [b"text", None, None]


def test_lcs_words_its_own_type_error_before_it_reads_options(group: Group) -> None:
    with_list(group)
    refusal = Error(b"ERR The specified keys must contain string values")
    assert group.run("LCS", "s", "l", "NONSENSE") == refusal
    assert group.run("LCS", "l", "missing") == refusal


def test_plain_set_writes_one_record_and_nothing_else(group: Group) -> None:
    group.run("SET", "k", "v")
    assert len(group.written) == 1


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ("SET k 1", strings.PLAIN),
        ("INCR k", strings.PLAIN),
        ("APPEND fresh 1", strings.PLAIN),
        ("APPEND k 1", strings.RAW),
        ("SETRANGE k 0 1", strings.RAW),
        ("SETRANGE fresh 0 1", strings.RAW),
        ("SETBIT k 0 1", strings.RAW),
        ("BITFIELD k SET u8 0 1", strings.RAW),
        ("BITOP OR k k", strings.RAW),
        ("INCRBYFLOAT k 1", strings.TEXT),
        ("GETEX k EX 10", strings.PLAIN),
    ],
)
def test_the_record_tells_how_the_value_came_about(group: Group, request_: str, expected: int) -> None:
    group.run("SET", "k", "5")
    name, key, *rest = request_.split()
    group.run(name, key, *rest)
    assert encoding(group, b"fresh" if key == "fresh" else b"k") == expected


def test_getex_keeps_how_the_value_came_about(group: Group) -> None:
    group.run("SET", "k", "1")
    group.run("APPEND", "k", "2")
    group.run("GETEX", "k", "EX", "10")
    assert encoding(group, b"k") == strings.RAW


@pytest.mark.parametrize(
    ("unit", "time", "expected"),
    [
        ("EX", "7", NOW_MS + 7_000),
        ("PX", "7", NOW_MS + 7),
        ("EXAT", "1800000000", 1_800_000_000_000),
        ("PXAT", "1800000000001", 1_800_000_000_001),
    ],
)
def test_times_are_counted_from_the_commands_own_clock(
    group: Group, unit: str, time: str, expected: int
) -> None:
    for request in (["SET", "k", "v"], ["GETEX", "k"], ["MSETEX", "1", "k", "v"]):
        group.run("SET", "k", "v")
        group.run(*request, unit, time)
        assert expire_ms(group, b"k") == expected


def test_a_time_that_is_this_very_millisecond_has_passed(group: Group) -> None:
    group.run("SET", "k", "v")
    assert group.run("SET", "k", "v", "PXAT", str(NOW_MS)) == OK
    assert group.run("GET", "k") is None
    assert group.view.key_count() == 0
    group.run("SET", "k", "v", "PXAT", str(NOW_MS + 1))
    assert group.run("GET", "k") == b"v"


def test_the_latest_time_that_fits_is_accepted_and_one_more_is_not(group: Group) -> None:
    latest = 2**63 - 1 - NOW_MS
    assert group.run("SET", "k", "v", "PX", str(latest)) == OK
    assert expire_ms(group, b"k") == 2**63 - 1
    assert group.run("SET", "k", "v", "PX", str(latest + 1)) == Error(
        b"ERR invalid expire time in 'set' command"
    )


def test_an_expired_value_is_as_good_as_none(group: Group) -> None:
    requests = (
        ("GET k", None),
        ("APPEND k x", 1),
        ("INCR k", 1),
        ("SETNX k 1", 1),
        ("SET k 1 XX", None),
        ("SET k 1 NX", OK),
        ("SET k 1 GET", None),
        ("SET k 1 KEEPTTL", OK),
        ("SET k 1 IFEQ 5", None),
        ("GETDEL k", None),
        ("GETEX k PERSIST", None),
        ("DELIFEQ k 5", 0),
        ("MGET k", [None]),
        ("SETRANGE k 1 x", 2),
        ("BITCOUNT k", 0),
    )
    for request, reply in requests:
        group.run("SET", "k", "5", "PX", "10")
        group.now_ms += 10
        assert group.run(*request.split()) == reply, request
        head = group.begin().head(b"k")
        assert head is None or head.expire_ms == 0, request


def test_a_getex_that_changes_nothing_writes_nothing(group: Group) -> None:
    group.run("SET", "k", "v")
    for request in (["GETEX", "k"], ["GETEX", "k", "PERSIST"], ["GETEX", "missing", "EX", "10"]):
        group.run(*request)
        assert group.written == {}


def test_commands_whose_condition_fails_write_nothing(group: Group) -> None:
    group.run("SET", "k", "v")
    for request in (
        "SET k w NX",
        "SET n w XX",
        "SET k w IFEQ x",
        "SETNX k w",
        "MSETNX n 1 k 1",
        "MSETEX 2 n 1 k 1 NX",
        "MSETEX 2 n 1 k 1 XX",
        "DELIFEQ k x",
        "SETRANGE k 100 ",
    ):
        group.run(*request.split(" "))
        assert group.written == {}, request


@pytest.mark.parametrize("offset", [2**29 - 1, 2**32, 2**40, 2**63 - 1])
def test_setrange_refuses_what_is_too_long_before_it_makes_it(group: Group, offset: int) -> None:
    # Were the string made first, the larger ones of these would end the process.
    assert group.run("SETRANGE", "k", str(offset), "xx") == Error(STRING_TOO_LONG)


def test_append_refuses_what_is_too_long(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strings, "STRING_BYTES_MAX", 10)
    assert group.run("APPEND", "k", "12345") == 5
    assert group.run("APPEND", "k", "67890") == 10
    assert group.run("APPEND", "k", "1") == Error(STRING_TOO_LONG)
    assert group.run("GET", "k") == b"1234567890"


def test_mget_of_one_groups_share_answers_for_that_share(group: Group) -> None:
    group.run("MSET", "a", "1", "b", "2")
    assert group.run("MGET", "b", "n", "a", "b") == [b"2", None, b"1", b"2"]
