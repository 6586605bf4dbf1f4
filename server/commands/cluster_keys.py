"""CLUSTER commands about the keys of slots that every node answers, wherever they are led: SLOT-STATS, FLUSHSLOT,
CLUSTERSCAN.

CLUSTERSCAN is SCAN, which walks over the whole cluster anyway: its cursors are SCAN's, mean the same on every node and
carry no hash tag. Slots do not migrate, so nothing of what steers migrations does anything.
"""

from typing import Any

import hiredis

from resp.values import OK
from server.commands import cluster, scan
from server.commands.arguments import bounded_integer
from server.commands.context import Context
from server.commands.table import (
    ADMIN,
    LOADING,
    NODE,
    READONLY,
    STALE,
    WRITE,
    Args,
    Flag,
    Keys,
    Reply,
    command,
)
from server.errors import SYNTAX, CommandError
from server.keyspace.meta import DATABASES
from server.keyspace.slots import SLOTS

_BAD_SLOT = b"ERR Invalid or out of range slot"
_BAD_SUBCOMMAND = b"ERR unknown subcommand or wrong number of arguments for '%b'. Try CLUSTER HELP."
_BAD_LIMIT = b"ERR Limit has to lie in between 1 and 16384 (maximum number of slots)."
_KEYS_AT_ONCE = 500
"""So many keys of a slot are deleted by one command."""


def _slot(word: bytes) -> int:
    return bounded_integer(word, 0, SLOTS - 1, _BAD_SLOT)


def _led_slots(context: Context) -> list[int]:
    """The slots of the groups that this node leads."""
    topology = context.node.topology
    led = {info.group for info in context.node.group_infos() if info.role == "leader"}
    return [slot for slot, group in enumerate(topology.slot_groups) if group in led]


@command(
    "cluster|slot-stats",
    arity=-4,
    flags=LOADING | STALE,
    where=NODE,
    since="8.0.0",
    group="cluster",
    complexity="O(N) where N is the total number of slots based on arguments. "
    "O(N*log(N)) with ORDERBY subcommand.",
)
async def cluster_slot_stats(context: Context, args: Args) -> Reply:
    """Return an array of slot usage statistics for slots assigned to the current node."""
    cluster.check_clustered(context)
    kind = args[2].lower()
    if kind == b"slotsrange" and len(args) == 5:
        first, last = _slot(args[3]), _slot(args[4])
        if first > last:
            raise CommandError(b"ERR Start slot number %d is greater than end slot number %d" % (first, last))
        counts = await _counts(context, [slot for slot in _led_slots(context) if first <= slot <= last])
        return [[slot, {b"key-count": count}] for slot, count in counts.items()]
    if kind != b"orderby":
        raise CommandError(_BAD_SUBCOMMAND % args[2 - 1])
    descending, limit = _order(args)
    counts = await _counts(context, _led_slots(context))
    ordered = sorted(counts.items(), key=lambda item: (-item[1] if descending else item[1], item[0]))
    return [[slot, {b"key-count": count}] for slot, count in ordered[:limit]]


def _order(args: Args) -> tuple[bool, int]:
    """Whether descending, and how many, of `ORDERBY key-count …`. Raises CommandError."""
    if args[3].lower() != b"key-count":
        raise CommandError(b"ERR Unrecognized sort metric for ORDERBY.")
    descending, limit = True, SLOTS
    given: set[bytes] = set()
    options = iter(args[4:])
    for option in options:
        name = option.lower()
        if name == b"limit":
            value = next(options, None)
            if value is None:
                raise CommandError(SYNTAX)
            limit = bounded_integer(value, 1, SLOTS, _BAD_LIMIT)
        elif name in (b"asc", b"desc"):
            descending = name == b"desc"
            name = b"order"
        else:
            raise CommandError(SYNTAX)
        if name in given:
            raise CommandError(b"ERR Multiple filters of the same type are disallowed.")
        given.add(name)
    return descending, limit


async def _counts(context: Context, slots: list[int]) -> dict[int, int]:
    """How many keys of the client's database each slot has."""
    return {slot: await cluster.ask_slot(context, slot, [b"_countslot", b"%d" % slot]) for slot in slots}


async def _answer(context: Context, group: int, db: int, args: Args) -> Any:
    """What a shard group answers. Raises CommandError with what it refuses."""
    answer = await context.node.call(group, db, args)
    if isinstance(answer, hiredis.ReplyError):
        raise CommandError(str(answer).encode())
    return answer


@command(
    "cluster|flushslot",
    arity=-3,
    flags=WRITE | ADMIN | Flag.NO_ASYNC_LOADING,
    where=NODE,
    since="9.0.0",
    group="cluster",
    complexity="O(N) where N is the number of keys in the target slot",
    categories="keyspace",
)
async def cluster_flushslot(context: Context, args: Args) -> Reply:
    """Removes all keys from the target slot."""
    cluster.check_clustered(context)
    slot = _slot(args[2])
    if len(args) > 4:
        raise CommandError(_BAD_SUBCOMMAND % args[1])
    if len(args) == 4 and args[3].lower() not in (b"async", b"sync"):
        raise CommandError(SYNTAX)
    group = context.node.topology.slot_groups[slot]
    for db in range(DATABASES):
        while True:
            found = await _answer(context, group, db, [b"_slotkeys", b"%d" % slot, b"%d" % _KEYS_AT_ONCE])
            if found:
                await _answer(context, group, db, [b"DEL", *found])
            if len(found) < _KEYS_AT_ONCE:
                break
    return OK


def _getslotmigrations(context: Context, args: Args) -> Reply:
    """Gets the status of ongoing and recently finished slot import and export operations."""
    cluster.check_clustered(context)
    return []


def _cancelslotmigrations(context: Context, args: Args) -> Reply:
    """Cancel all current ongoing slot migration operations."""
    cluster.check_clustered(context)
    raise CommandError(b"ERR No migrations ongoing")


for _name, _handler in (
    ("getslotmigrations", _getslotmigrations),
    ("cancelslotmigrations", _cancelslotmigrations),
):
    command(
        f"cluster|{_name}",
        arity=2,
        flags=ADMIN | STALE | Flag.NO_ASYNC_LOADING,
        where=NODE,
        since="9.0.0",
        group="cluster",
    )(_handler)


@command(
    "clusterscan",
    arity=-2,
    flags=READONLY,
    keys=Keys(1, 1, access="not_key"),
    where=NODE,
    since="9.1.0",
    group="cluster",
    complexity="O(N) where N is the number of elements returned.",
    categories="keyspace",
)
async def clusterscan(context: Context, args: Args) -> Reply:
    """Iterates over the keys in the cluster."""
    cluster.check_clustered(context)
    slot: int | None = None
    rest = [args[0], args[1]]
    options = iter(args[2:])
    for option in options:
        value = next(options, None)
        if value is None:
            raise CommandError(SYNTAX)
        if option.lower() == b"slot":
            slot = _slot(value)
        else:
            rest += (option, value)
    try:
        return await scan.walk_on(context, rest, slot)
    except CommandError as error:
        if error.text == scan.BAD_CURSOR:
            raise CommandError(b"ERR Invalid cursor") from None
        raise
