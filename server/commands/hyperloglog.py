"""HyperLogLog commands: counting different elements without keeping them. The values are strings; see
types/hyperloglog.py.

PFCOUNT of one key keeps its result in the value, as in Redis: a read that writes, once after each change.
"""

from resp.values import OK, Simple
from server.commands.context import Context
from server.commands.table import ADMIN, DENYOOM, FAST, NODE, READONLY, WRITE, Args, Keys, Reply, command
from server.errors import CommandError
from server.keyspace.layout import STRING, Head
from server.keyspace.view import View
from server.types import hyperloglog as hll
from server.types import strings
from server.types.hyperloglog_sparse import runs
from server.types.strings import RAW


def _head(view: View, key: bytes) -> Head | None:
    """The head of `key`, None when there is no such key; raises an error when it is no HyperLogLog."""
    head = strings.head(view, key)
    if head is not None:
        hll.check(head.payload)
    return head


def _save(view: View, key: bytes, head: Head | None, value: bytearray) -> None:
    """Write a value whose registers have changed."""
    hll.forget_cardinality(value)
    strings.replace(view, key, head, bytes(value), RAW, b"pfadd")


@command(
    "pfadd",
    arity=-2,
    flags=WRITE | DENYOOM | FAST,
    keys=Keys(1, 1, access="RW insert"),
    since="2.8.9",
    group="hyperloglog",
    complexity="O(1) to add every element.",
)
def pfadd(view: View, args: Args) -> Reply:
    """Adds elements to a HyperLogLog key. Creates the key if it doesn't exist."""
    head = _head(view, args[1])
    value = hll.new() if head is None else bytearray(head.payload)
    changed = hll.add(value, args[2:])
    if not changed and head is not None:
        return 0
    _save(view, args[1], head, value)
    return 1


@command(
    "pfcount",
    arity=-2,
    flags=READONLY,
    keys=Keys(1, -1, access="RW access"),
    since="2.8.9",
    group="hyperloglog",
    complexity="O(1) with a very small average constant time when called with a single key. O(N) with N being the "
    "number of keys, and much bigger constant times, when called with multiple keys.",
)
def pfcount(view: View, args: Args) -> Reply:
    """Returns the approximated cardinality of the set(s) observed by the HyperLogLog key(s)."""
    if len(args) > 2:
        heads = (_head(view, key) for key in args[1:])
        return hll.estimate(hll.merge([head.payload for head in heads if head is not None]))
    head = _head(view, args[1])
    if head is None:
        return 0
    cardinality = hll.known_cardinality(head.payload)
    if cardinality is None:
        cardinality = hll.estimate(hll.registers(head.payload))
        value = hll.with_cardinality(head.payload, cardinality)
        view.put(args[1], STRING, value, head.expire_ms, head.encoding)
    return cardinality


@command(
    "pfmerge",
    arity=-2,
    flags=WRITE | DENYOOM,
    keys=Keys(1, -1, access="RW access insert,RO access"),
    since="2.8.9",
    group="hyperloglog",
    complexity="O(N) to merge N HyperLogLogs, but with high constant times.",
)
def pfmerge(view: View, args: Args) -> Reply:
    """Merges one or more HyperLogLog values into a single key."""
    heads = [_head(view, key) for key in args[1:]]
    values = [head.payload for head in heads if head is not None]
    merged = hll.merge(values)
    target = heads[0]
    value = hll.new() if target is None else bytearray(target.payload)
    if any(map(hll.is_dense, values)):
        hll.make_dense(value)
    hll.raise_registers(value, merged)
    _save(view, args[1], target, value)
    return OK


@command(
    "pfdebug",
    arity=3,
    flags=WRITE | DENYOOM | ADMIN,
    keys=Keys(2, 2, access="RW access"),
    since="2.8.9",
    group="hyperloglog",
    complexity="N/A",
)
def pfdebug(view: View, args: Args) -> Reply:
    """Internal commands for debugging HyperLogLog values."""
    head = _head(view, args[2])
    if head is None:
        raise CommandError(b"ERR The specified key does not exist")
    name = args[1].lower()
    dense = hll.is_dense(head.payload)
    if name == b"encoding":
        return Simple(b"dense" if dense else b"sparse")
    if name == b"decode":
        if dense:
            raise CommandError(b"ERR HLL encoding is not sparse")
        return b" ".join(
            b"v:%d,%d" % (each, count) if each else b"%c:%d" % (b"Z" if wide else b"z", count)
            for each, count, wide in runs(head.payload)
        )
    if name not in (b"getreg", b"todense"):
        raise CommandError(b"ERR Unknown PFDEBUG subcommand '" + args[1] + b"'")
    value = bytearray(head.payload)
    if not dense:
        hll.make_dense(value)
        view.put(args[2], STRING, bytes(value), head.expire_ms, RAW)
    return list(hll.registers(value)) if name == b"getreg" else int(not dense)


@command("pfselftest", arity=1, flags=ADMIN, where=NODE, since="2.8.9", group="hyperloglog", complexity="N/A")
def pfselftest(context: Context, args: Args) -> Reply:
    """An internal command for testing HyperLogLog values."""
    sparse = hll.new()
    dense = hll.new()
    hll.make_dense(dense)
    for last in (10, 100, 1000, 3000):
        elements = [b"%d" % number for number in range(last)]
        hll.add(sparse, elements)
        hll.add(dense, elements)
        if hll.registers(sparse) != hll.registers(dense):
            raise CommandError(b"ERR TESTFAILED dense/sparse disagree")
        if abs(hll.estimate(hll.registers(dense)) - last) > max(last // 20, 1):
            raise CommandError(b"ERR TESTFAILED Too big error")
    return OK
