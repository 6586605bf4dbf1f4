"""Runs transcripts and says where two servers disagree.

Steps are requests; a step may begin with words for the harness:

* `@advance MS`, alone: let so many milliseconds go by.
* `@sorted` before a request: its reply is a set, however it is ordered.
* `@other` before a request: another client sends it, after all before it were answered.

All else of one client is sent as one pipeline: replies must not depend on where its parts end.
"""

import time
from collections.abc import Sequence
from itertools import groupby
from zlib import crc32

from server.commands import all as all_commands
from server.commands.table import lookup
from server.errors import CommandError
from tests.conformance.harness.servers import HOST, Server
from tests.conformance.harness.wire import Closed, Connection, Reply, Request

assert all_commands.loaded

TOLERANCES = {"TTL": 30, "PTTL": 30_000}
"""Commands whose reply depends on when they run, and by how much two of them may differ: the servers do not run a
transcript in the same instant. Only where time is left at all."""
UNORDERED = {
    ("CONFIG", "GET"),
    ("KEYS",),
    ("COMMAND", "LIST"),
}
"""Commands whose reply is in no order that means anything, by their first words."""
HELD = {
    ("HGETALL",),
    ("HKEYS",),
    ("HVALS",),
    ("HSCAN",),
    ("SMEMBERS",),
    ("SSCAN",),
    ("SINTER",),
    ("SUNION",),
    ("SDIFF",),
    ("SPOP",),
}
"""Commands whose reply is in an order only while the hash or set is small."""
FOOTER_BYTES = 10
"""Of a payload of DUMP: ours are of an older version, which more servers read, and so have another checksum."""
TAG = b"{t}"
CLOSED = Reply("closed", b"")
"""Stands for each reply that the server did not give because it closed the connection."""


def run(server: Server, name: str, steps: Sequence[Request], protocol: int) -> list[Reply]:
    """The replies of `server` to a transcript on an empty keyspace; one for every step that is a request.

    `name` decides which node of a cluster is talked to, the same in every run.
    """
    port = server.ports[crc32(name.encode()) % len(server.ports)]
    replies: list[Reply] = []
    with Connection(HOST, port, protocol) as client, Connection(HOST, port, protocol) as other:
        flushed = client.ask("FLUSHALL")
        assert flushed == Reply("+", b"OK"), flushed
        for word, part in groupby(steps, _client_of):
            if word == "@advance":
                time.sleep(sum(int(step[1]) for step in part) / 1000)
                continue
            requests = [request_of(step) for step in part]
            try:
                replies += (other if word == "@other" else client).ask_all(requests)
            except Closed as closed:
                replies += closed.replies + [CLOSED] * (len(requests) - len(closed.replies))
    return replies


def _client_of(step: Request) -> str:
    return str(step[0]) if step and step[0] in ("@advance", "@other") else "client"


def request_of(step: Request) -> Request:
    """A step without the words for the harness."""
    while step and step[0] in ("@sorted", "@other"):
        step = step[1:]
    return step


def requests_of(steps: Sequence[Request]) -> list[Request]:
    """The steps that are answered."""
    return [step for step in steps if not step or step[0] != "@advance"]


def agree(step: Request, theirs: Reply, ours: Reply, held: bool = False) -> bool:
    """Whether two replies to a step are the same, as far as they can be. `held`: the values may be held in hash tables,
    and so in any order."""
    if theirs == ours:
        return True
    words = tuple(
        (word if isinstance(word, str) else word.decode("latin-1")).upper() for word in request_of(step)[:2]
    )
    if (held or words[:1] not in HELD) and _plain_sets(theirs) == _plain_sets(ours):
        return True
    unordered = UNORDERED | HELD if held else UNORDERED
    if "@sorted" in step[:2] or words in unordered or words[:1] in unordered:
        return _sorted(theirs) == _sorted(ours)
    name = words[0] if words else ""
    if name == "DUMP" and isinstance(theirs.value, bytes) and isinstance(ours.value, bytes):
        return theirs.kind == ours.kind and theirs.value[:-FOOTER_BYTES] == ours.value[:-FOOTER_BYTES]
    if name in TOLERANCES and theirs.kind == ours.kind == ":" and theirs.value > 0 < ours.value:
        return bool(abs(theirs.value - ours.value) <= TOLERANCES[name])
    return False


def _plain_sets(reply: Reply) -> Reply:
    """The sets of RESP3 in it are in no order."""
    if not isinstance(reply.value, list):
        return reply
    elements = [_plain_sets(element) for element in reply.value]
    return Reply(reply.kind, sorted(elements, key=repr) if reply.kind == "~" else elements)


def _sorted(reply: Reply) -> Reply:
    if isinstance(reply.value, list):
        return Reply(reply.kind, sorted(map(_sorted, reply.value), key=repr))
    return reply


def in_one_slot(steps: Sequence[Request]) -> list[Request]:
    """The same transcript, its keys moved to one hash slot.

    Keys in arguments that the command table does not see (patterns, DEBUG) stay: what counts is that both servers get
    the same transcript.
    """
    return [_tagged(step) for step in steps]


def _tagged(step: Request) -> Request:
    request = request_of(step)
    head = list(step[: len(step) - len(request)])
    args = [word.encode() if isinstance(word, str) else word for word in request]
    row = lookup(args) if args else None
    if row is None or (row.arity > 0 and len(args) != row.arity) or len(args) < -row.arity:
        return step
    try:
        indexes = set(row.keys.indexes(args))
    except CommandError:
        return step
    return head + [TAG + word if at in indexes else word for at, word in enumerate(args)]


def transcript(steps: Sequence[Request]) -> str:
    """For a person: the requests as one would type them into redis-cli."""
    return "\n".join(" ".join(_quoted(word) for word in step) for step in steps)


def _quoted(word: str | bytes) -> str:
    data = word.encode() if isinstance(word, str) else word
    if data and all(33 <= byte < 127 and byte not in b"\"'\\" for byte in data):
        return data.decode()
    inner = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in data
    )
    return f'"{inner}"'
