"""The encoder: the bytes of every kind of value in both protocols, and that clients read back what was
meant."""

import math
from typing import Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resp import (
    NULL_ARRAY,
    OK,
    Attribute,
    BigNumber,
    Error,
    Members,
    Push,
    Raw,
    Simple,
    Value,
    Verbatim,
    encode,
    format_double,
)
from tests.resp.transcripts import DOUBLES

TABLE: list[tuple[Value, bytes, bytes]] = [
    (None, b"$-1\r\n", b"_\r\n"),
    (NULL_ARRAY, b"*-1\r\n", b"_\r\n"),
    (b"", b"$0\r\n\r\n", b"$0\r\n\r\n"),
    (b"a\r\nb", b"$4\r\na\r\nb\r\n", b"$4\r\na\r\nb\r\n"),
    (b"x" * 1023, b"$1023\r\n" + b"x" * 1023 + b"\r\n", b"$1023\r\n" + b"x" * 1023 + b"\r\n"),
    (b"x" * 1024, b"$1024\r\n" + b"x" * 1024 + b"\r\n", b"$1024\r\n" + b"x" * 1024 + b"\r\n"),
    (0, b":0\r\n", b":0\r\n"),
    (1023, b":1023\r\n", b":1023\r\n"),
    (1024, b":1024\r\n", b":1024\r\n"),
    (-1, b":-1\r\n", b":-1\r\n"),
    (True, b":1\r\n", b"#t\r\n"),
    (False, b":0\r\n", b"#f\r\n"),
    (1.5, b"$3\r\n1.5\r\n", b",1.5\r\n"),
    (-math.inf, b"$4\r\n-inf\r\n", b",-inf\r\n"),
    (OK, b"+OK\r\n", b"+OK\r\n"),
    (Error(b"ERR no"), b"-ERR no\r\n", b"-ERR no\r\n"),
    (BigNumber(2**70), b"$22\r\n1180591620717411303424\r\n", b"(1180591620717411303424\r\n"),
    (Verbatim(b"hi"), b"$2\r\nhi\r\n", b"=6\r\ntxt:hi\r\n"),
    (Verbatim(b"hi", b"mkd"), b"$2\r\nhi\r\n", b"=6\r\nmkd:hi\r\n"),
    (Raw(b"+RAW\r\n"), b"+RAW\r\n", b"+RAW\r\n"),
    ([], b"*0\r\n", b"*0\r\n"),
    ([1, None, b"x"], b"*3\r\n:1\r\n$-1\r\n$1\r\nx\r\n", b"*3\r\n:1\r\n_\r\n$1\r\nx\r\n"),
    (
        (b"a", [b"b", OK], []),
        b"*3\r\n$1\r\na\r\n*2\r\n$1\r\nb\r\n+OK\r\n*0\r\n",
        b"*3\r\n$1\r\na\r\n*2\r\n$1\r\nb\r\n+OK\r\n*0\r\n",
    ),
    (
        {b"k": 1, b"l": {}},
        b"*4\r\n$1\r\nk\r\n:1\r\n$1\r\nl\r\n*0\r\n",
        b"%2\r\n$1\r\nk\r\n:1\r\n$1\r\nl\r\n%0\r\n",
    ),
    (
        [[b"1-1", [b"f", b"v"]], [b"1-2", []], [], [[b"x" * 1024]]],
        b"*4\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n*2\r\n$3\r\n1-2\r\n*0\r\n*0\r\n"
        b"*1\r\n*1\r\n$1024\r\n" + b"x" * 1024 + b"\r\n",
        b"*4\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n*2\r\n$3\r\n1-2\r\n*0\r\n*0\r\n"
        b"*1\r\n*1\r\n$1024\r\n" + b"x" * 1024 + b"\r\n",
    ),
    *(
        ([[b"a", [b"b", item]]], b"*1\r\n*2\r\n$1\r\na\r\n*2\r\n$1\r\nb\r\n" + two, three)
        for item, two, three in (
            (1, b":1\r\n", b"*1\r\n*2\r\n$1\r\na\r\n*2\r\n$1\r\nb\r\n:1\r\n"),
            ({b"m"}, b"*1\r\n$1\r\nm\r\n", b"*1\r\n*2\r\n$1\r\na\r\n*2\r\n$1\r\nb\r\n~1\r\n$1\r\nm\r\n"),
        )
    ),
    ({1, b"m"} - {b"m"}, b"*1\r\n:1\r\n", b"~1\r\n:1\r\n"),
    ({b"m"}, b"*1\r\n$1\r\nm\r\n", b"~1\r\n$1\r\nm\r\n"),
    (frozenset({b"m"}), b"*1\r\n$1\r\nm\r\n", b"~1\r\n$1\r\nm\r\n"),
    (Members([1, b"c"]), b"*2\r\n:1\r\n$1\r\nc\r\n", b"~2\r\n:1\r\n$1\r\nc\r\n"),
    (Push([b"message", b"c"]), b"*2\r\n$7\r\nmessage\r\n$1\r\nc\r\n", b">2\r\n$7\r\nmessage\r\n$1\r\nc\r\n"),
    (Attribute({b"ttl": 5}, [1]), b"*1\r\n:1\r\n", b"|1\r\n$3\r\nttl\r\n:5\r\n*1\r\n:1\r\n"),
]


@pytest.mark.parametrize(("value", "resp2", "resp3"), TABLE, ids=lambda item: f"{item!r:.40}")
def test_every_kind_of_value_in_both_protocols(value: Value, resp2: bytes, resp3: bytes) -> None:
    assert encode(value, 2) == resp2
    assert encode(value, 3) == resp3


@pytest.mark.parametrize(("value", "resp2", "resp3"), TABLE, ids=lambda item: f"{item!r:.40}")
def test_a_value_looks_the_same_inside_another(value: Value, resp2: bytes, resp3: bytes) -> None:
    assert encode([value, value], 2) == b"*2\r\n" + resp2 * 2
    assert encode([value, value], 3) == b"*2\r\n" + resp3 * 2


leaves = st.none() | st.binary(max_size=20) | st.integers(-(2**63), 2**63 - 1)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4), max_leaves=20)


@given(values, st.sampled_from([2, 3]))
def test_a_client_reads_what_was_meant(value: Value, protocol: int) -> None:
    reader = hiredis.Reader()
    reader.feed(encode(value, protocol))
    assert reader.gets() == value


@given(st.dictionaries(st.binary(max_size=5), st.booleans() | st.lists(leaves, max_size=2)))
def test_a_resp3_client_reads_maps_and_booleans(value: dict[bytes, Any]) -> None:
    reader = hiredis.Reader()
    reader.feed(encode(value, 3))
    assert reader.gets() == value


def test_nesting_is_not_bounded_by_the_recursion_limit() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    assert encode(value, 2) == b"*1\r\n" * 100_000 + b"*0\r\n"


@pytest.mark.parametrize(
    ("element", "odd_one"),
    [
        (b"abc", b""),
        (b"abc", None),
        ([b"1-1", [b"f", b"v"]], [b"1-1", []]),
        ([b"1-1"], [1]),
        ([1], b"a"),
        (7, 8),
    ],
)
@pytest.mark.parametrize("protocol", [2, 3])
def test_a_long_list_is_what_its_elements_are(element: Value, odd_one: Value, protocol: int) -> None:
    values = [element] * 10_000 + [odd_one] + [element] * 5_000
    whole = b"*%d\r\n" % len(values) + b"".join(encode(each, protocol) for each in values)
    assert encode(values, protocol) == whole
    assert encode([values, 1], protocol) == b"*2\r\n" + whole + b":1\r\n"
    assert encode(Members(values), 2) == encode(values, 2)


def test_a_long_map_is_what_its_pairs_are() -> None:
    pairs: dict[Value, Value] = {b"field:%d" % number: b"v" for number in range(10_000)}
    body = b"".join(encode(each, 3) for pair in pairs.items() for each in pair)
    assert encode(pairs, 3) == b"%10000\r\n" + body
    assert encode(pairs, 2) == b"*20000\r\n" + body


@pytest.mark.parametrize("value", ["text", [b"x", ["text"]], {b"k": "text"}, object(), bytearray(b"x")])
def test_what_is_no_value_is_refused_at_any_depth(value: Any) -> None:
    with pytest.raises(TypeError, match="not a RESP value"):
        encode(value, 3)


def test_text_from_a_client_can_not_forge_a_reply_in_an_error() -> None:
    assert encode(Error(b"ERR unknown command 'a\r\n+OK\r\n'"), 2) == b"-ERR unknown command 'a  +OK  '\r\n"
    assert encode(Simple(b"a\nb"), 2) == b"+a b\r\n"


def test_the_code_of_an_error_is_its_first_word() -> None:
    assert Error(b"WRONGTYPE Operation against a key").code == b"WRONGTYPE"


def test_markers_are_equal_by_content_and_kind() -> None:
    assert Simple(b"OK") == OK != Error(b"OK")
    assert BigNumber(1) == BigNumber(1) != BigNumber(2)
    assert BigNumber(1) != Push([])
    assert Verbatim(b"a") != Verbatim(b"a", b"mkd")
    assert Attribute({b"a": 1}, 2) == Attribute({b"a": 1}, 2) != Attribute({}, 2)
    assert len({Simple(b"OK"), OK}) == 1


def test_a_verbatim_format_is_three_bytes() -> None:
    with pytest.raises(ValueError, match="three bytes"):
        Verbatim(b"x", b"text")


@given(st.floats(allow_nan=False))
def test_a_double_reads_back_as_the_same_number(number: float) -> None:
    assert float(format_double(number)) == number


@pytest.mark.parametrize(("number", "text"), DOUBLES)
def test_doubles_are_laid_out_as_in_valkey(number: float, text: bytes) -> None:
    assert format_double(number) == text


@pytest.mark.parametrize(("number", "text"), [(-0.0, b"-0"), (math.nan, b"nan"), (-math.nan, b"nan")])
def test_doubles_that_no_score_can_be(number: float, text: bytes) -> None:
    assert format_double(number) == text
