"""A script's text: its shebang line, and the tables of texts that every group keeps.

Texts are records of the group, so that whoever leads it knows them: EVALSHA asks the group of its keys. SCRIPT LOAD
writes to all groups, EVAL to its own; SCRIPT EXISTS copies a text that some groups have to those that lack it before
it says yes.

    's' sha1:20 -> kind:u8 revision:u64 text
    'f' sha1:20 -> kind:u8 revision:u64 text      a library of functions

`kind` tells what SCRIPT LOAD brought from what EVAL left. Of the latter a group keeps the newest `evaluated_max`;
who counts on a text loads it, as in Redis.

Libraries of functions belong to group 0. The text of one lies here too from its first call in the group on, put there
by the node that was asked to call (dispatch/texts.py), so that the call names the text that it means and the leader
need not know what group 0 says at this moment. They are kept like what EVAL left.
"""

from struct import Struct
from typing import Final

from resp import split_inline
from server.errors import CommandError
from server.keyspace.layout import NO_COLLECTION
from server.keyspace.view import View
from server.scripting.library import ENGINE, FLAGS

LOADED: Final = 0
EVALUATED: Final = 1
evaluated_max = 500
"""Texts of EVAL that a group keeps; for a while some more, since it looks only after every 25th new one or so."""
SCRIPTS: Final = b"s"
LIBRARIES: Final = b"f"
"""The tables."""
SCRIPT_TEXTS = SCRIPTS, b"t"
"""The range of the records of scripts."""

_HEADER: Final = Struct(">BQ")
_NO_FLAGS: Final[frozenset[bytes]] = frozenset()


class Script:
    """What a text says."""

    __slots__ = ("body", "declared", "flags")

    def __init__(self, body: bytes, declared: bool, flags: frozenset[bytes]) -> None:
        self.body = body
        """Lua; a shebang line is replaced by an empty one."""
        self.declared = declared
        """There is a shebang line: what the flags do not say is not so."""
        self.flags = flags


def parse_script(text: bytes) -> Script:
    """Split off the shebang line. Raises CommandError when it makes no sense."""
    if not text.startswith(b"#!"):
        return Script(text, False, _NO_FLAGS)
    first, newline, rest = text.partition(b"\n")
    if not newline:
        raise CommandError(b"ERR Invalid script shebang")
    try:
        engine, *options = split_inline(first)
    except ValueError:
        raise CommandError(b"ERR Invalid engine in script shebang") from None
    flags: set[bytes] = set()
    for option in options:
        if not option.startswith(b"flags="):
            raise CommandError(b"ERR Unknown lua shebang option: " + option)
        for flag in option[6:].split(b",") if option[6:] else ():
            if flag not in FLAGS:
                raise CommandError(b"ERR Unexpected flag in script shebang: " + flag)
            flags.add(flag)
    if engine[2:].upper() != ENGINE:
        raise CommandError(b"ERR Could not find scripting engine '" + engine[2:] + b"'")
    return Script(b"\n" + rest, True, frozenset(flags))


def find_text(view: View, digest: bytes, table: bytes = SCRIPTS) -> bytes | None:
    """The text with sha1 `digest` (20 bytes), None when the group has none."""
    record = view.element(table + digest)
    return None if record is None else text_in(record)


class _Known:
    """Texts that are there and committed, until some are deleted."""

    __slots__ = ("digests", "size")

    def __init__(self) -> None:
        self.digests: set[bytes] = set()
        self.size = evaluated_max
        """How many there may be; see Derived."""


def has_text(view: View, digest: bytes) -> bool:
    """Whether the group has the text with sha1 `digest`."""
    known: _Known | None = view.derived.find(NO_COLLECTION)
    if known is not None and digest in known.digests:
        return True
    record = view.element(SCRIPTS + digest)
    if record is None:
        return False
    if _HEADER.unpack_from(record)[1] <= view.committed:
        if known is None or len(known.digests) >= known.size:
            view.derived.keep(NO_COLLECTION, known := _Known())
        known.digests.add(digest)
    return True


def text_in(record: bytes) -> bytes:
    """The text of a record of the table."""
    return record[_HEADER.size :]


def keep_text(view: View, digest: bytes, text: bytes, kind: int, table: bytes = SCRIPTS) -> None:
    """Let the group know `text`. LOADED stays what it is."""
    where = table + digest
    record = view.element(where)
    if record is not None and record[0] <= kind:
        return
    if kind == EVALUATED and not view.random.randrange(max(evaluated_max // 20, 1)):
        _make_room(view, table)
    view.effects[where] = _HEADER.pack(kind, view.revision) + text


def _make_room(view: View, table: bytes) -> None:
    view.derived.forget(NO_COLLECTION)
    evaluated = sorted(
        (record[: _HEADER.size], where)
        for where, record in view.elements(table, bytes((table[0] + 1,)), False)
        if record[0] == EVALUATED
    )
    for _, where in evaluated[: max(0, len(evaluated) - evaluated_max + 1)]:
        view.effects[where] = None


def forget_texts(view: View) -> None:
    """SCRIPT FLUSH."""
    view.derived.forget(NO_COLLECTION)
    for where, _ in list(view.elements(*SCRIPT_TEXTS, False)):
        view.effects[where] = None
