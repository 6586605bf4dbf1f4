"""Splitting a line into arguments. The rules are in the transcripts; here is what a connection can not
show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resp import split_inline


def quoted(arg: bytes) -> bytes:
    return b'"' + b"".join(b"\\x%02x" % byte for byte in arg) + b'"'


@given(st.lists(st.binary()))
def test_quoted_arguments_come_back(args: list[bytes]) -> None:
    assert split_inline(b" ".join(map(quoted, args))) == args


@given(st.binary())
def test_any_line_is_split_or_refused(line: bytes) -> None:
    try:
        args = split_inline(line)
    except ValueError:
        assert b'"' in line or b"'" in line
    else:
        assert sum(map(len, args)) <= len(line)


def test_quotes_may_span_lines_as_in_a_configuration_file() -> None:
    assert split_inline(b"save 'a\nb' \"c\r\nd\"") == [b"save", b"a\nb", b"c\r\nd"]


def test_blanks_alone_are_no_arguments() -> None:
    assert split_inline(b"") == split_inline(b" \t\r\n\v\f") == []


@pytest.mark.parametrize(
    "line", [b'"', b"'", b'a"b', b"a'b", b'"a\\"', b"'a\\'", b'"a\\', b'"' + b"\\\\" * 30_000]
)
def test_a_quote_that_is_not_closed_is_an_error(line: bytes) -> None:
    with pytest.raises(ValueError, match="unbalanced quotes"):
        split_inline(line)
