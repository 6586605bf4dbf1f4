"""Glob patterns: Redis's, with all their corners, and no pattern that takes long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import CommandError
from server.keyspace.slots import key_slot
from server.types import glob
from server.types.glob import PATTERN_BYTES_MAX, compile_glob, pattern_slot

NAMES = (b"", b"*", b"-", b"[", b"\\", b"]", b"^", b"a", b"a*b", b"ab", b"b", b"z", b"\x01", b"\x80", b"\xff")

# What KEYS of a Valkey 9.1 found among NAMES.
FOUND: dict[bytes, list[bytes]] = {
    b"": [b""],
    b"**": list(NAMES[1:]),
    b"?": [name for name in NAMES if len(name) == 1],
    b"?*": list(NAMES[1:]),
    b"*?*": list(NAMES[1:]),
    b"[]a]": [],
    b"[^]a]": [],
    b"[a": [b"a"],
    b"[^a": [name for name in NAMES if len(name) == 1 and name != b"a"],
    b"[a-": [b"-", b"a"],
    b"[a-]": [b"]", b"^", b"a"],
    rb"[\a-z]": [b"-", b"a", b"z"],
    rb"[a-\]": [b"\\", b"]", b"^", b"a"],
    b"\\": [b"\\"],
    b"\\\\": [b"\\"],
    b"\\a": [b"a"],
    b"[": [],
    b"[^": [name for name in NAMES if len(name) == 1],
    b"[^]": [name for name in NAMES if len(name) == 1],
    rb"a\*b": [b"a*b"],
    b"a*b": [b"a*b", b"ab"],
    b"a**b": [b"a*b", b"ab"],
    b"[*]": [b"*"],
    b"[z-a]": [b"a", b"b", b"z"],
    b"*[": [],
    b"*\\": [b"\\"],
    b"[a\\": [b"\\", b"a"],
    b"[\\": [b"\\"],
    b"[\\]": [b"]"],
    b"[^\\": [name for name in NAMES if len(name) == 1 and name != b"\\"],
    b"A": [],
    b"[\x80-\xff]": [b"\x80", b"\xff"],
    b"[\x01-\xff]": [b"\x01", b"\xff"],  # signed: from -1 to 1
}


def matches_slowly(pattern: bytes, key: bytes) -> bool:
    """`*`, `?`, literals and `\\`, by trying everything."""
    if not pattern:
        return not key
    if pattern[:1] == b"*":
        return any(matches_slowly(pattern[1:], key[at:]) for at in range(len(key) + 1))
    if pattern[:1] == b"\\" and len(pattern) > 1:
        pattern = pattern[1:]
        literal = True
    else:
        literal = pattern[:1] != b"?"
    return bool(key) and (not literal or pattern[:1] == key[:1]) and matches_slowly(pattern[1:], key[1:])


@pytest.mark.parametrize(("pattern", "found"), FOUND.items(), ids=repr)
def test_patterns_match_what_valkey_finds(pattern: bytes, found: list[bytes]) -> None:
    matches = compile_glob(pattern)
    assert [name for name in NAMES if matches(name)] == found


@given(
    pattern=st.text("ab*?\\", max_size=8).map(str.encode),
    key=st.text("ab*\\", min_size=1, max_size=8).map(str.encode),
)
def test_stars_find_their_places_as_if_all_were_tried(pattern: bytes, key: bytes) -> None:
    assert compile_glob(pattern)(key) == matches_slowly(pattern, key)


@given(pattern=st.binary(max_size=30), key=st.binary(max_size=30))
def test_any_bytes_are_a_pattern(pattern: bytes, key: bytes) -> None:
    assert compile_glob(pattern)(key) in (True, False)


@given(st.binary(min_size=1, max_size=30))
def test_a_name_with_its_special_bytes_escaped_matches_itself_alone(name: bytes) -> None:
    matches = compile_glob(b"".join(b"\\" + name[at : at + 1] for at in range(len(name))))
    assert matches(name)
    assert not matches(name + b"x")
    assert not matches(name[:-1])


@pytest.mark.parametrize(
    "pattern",
    [
        b"*a" * 900 + b"b",
        b"a*" * 900 + b"b",
        b"?*" * 900 + b"b",
        b"*[a-b]" * 900 + b"c",
        b"a" * PATTERN_BYTES_MAX,
    ],
    ids=["*a", "a*", "?*", "*[a-b]", "literal"],
)
def test_hostile_patterns_come_to_an_end(pattern: bytes) -> None:
    """Backtracking over 900 stars would never end; this takes some milliseconds."""
    assert not compile_glob(pattern)(b"a" * 5000)


@pytest.mark.parametrize("pattern", [b"user:%d", b"user:%d:*", b"*:%d", b"*:%d:*"])
def test_a_text_with_stars_around_it_needs_no_regular_expression(
    pattern: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of such patterns are subscribed to in one go."""
    monkeypatch.delattr(glob, "re")
    matches = [compile_glob(pattern % number) for number in range(1000)]
    assert [number for number, each in enumerate(matches) if each(pattern.replace(b"*", b"") % 77)] == [77]


def test_more_than_a_thousand_stars_match_nothing() -> None:
    assert compile_glob(b"*a" * 1000)(b"a" * 2000)
    assert not compile_glob(b"*a" * 1001)(b"a" * 2000)
    assert compile_glob(b"*a" * 1000 + b"*")(b"a" * 2000)


def test_a_pattern_that_would_take_long_to_compile_is_refused() -> None:
    with pytest.raises(CommandError, match="pattern is longer"):
        compile_glob(b"a" * (PATTERN_BYTES_MAX + 1))


@pytest.mark.parametrize(
    ("pattern", "slot"),
    [
        (b"plain", key_slot(b"plain")),
        (b"{tag}*", key_slot(b"tag")),
        (b"x{tag}y?[a]", key_slot(b"tag")),
        (b"{}{tag}*", None),
        (b"{}x", key_slot(b"{}x")),
        (b"{t*}", None),
        (b"*{tag}", None),
        (b"\\{tag}", None),
        (b"{tag", key_slot(b"{tag")),
        (b"", key_slot(b"")),
    ],
)
def test_a_literal_hash_tag_or_name_fixes_the_slot(pattern: bytes, slot: int | None) -> None:
    assert pattern_slot(pattern) == slot


@given(
    pattern=st.text("{}ab*?[]\\", max_size=10).map(str.encode),
    key=st.text("{}ab", max_size=10).map(str.encode),
)
def test_no_match_lies_outside_of_the_slot_that_is_fixed(pattern: bytes, key: bytes) -> None:
    slot = pattern_slot(pattern)
    if slot is not None and compile_glob(pattern)(key):
        assert key_slot(key) == slot
