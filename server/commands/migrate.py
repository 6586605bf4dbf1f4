"""MIGRATE: keys go to another Redis server, or another cluster, by its RESTORE.

The leader of a key gives its value, expiry and revision at one instant (`_migrate_read`). When the other side has it,
the key is deleted only if it still has that revision (`_migrate_delete`), since unlike in Redis others go on writing
meanwhile; a key that was written keeps what was written, and the client is told.
"""

from typing import NamedTuple

import hiredis
import trio

from resp import encode
from resp.values import OK, Simple
from server.commands.arguments import integer
from server.commands.context import Context
from server.commands.table import COMMANDS, FIRST, NODE, READONLY, WRITE, Args, Keys, Reply, command
from server.errors import SYNTAX, CommandError
from server.keyspace import events
from server.keyspace.slots import key_slot
from server.keyspace.view import View

_IO_ERROR = b"IOERR error or timeout %b"
_KEYS_AND_KEY = b"ERR When using MIGRATE KEYS option, the key argument must be set to the empty string"
_KEY_AT = 3
_DEFAULT_TIMEOUT_MS = 1000
_CHUNK_BYTES = 65536


class _Order(NamedTuple):
    """What a MIGRATE asks for."""

    keys: Args
    copy: bool
    replace: bool
    credentials: Args
    """What AUTH is called with, if anything."""


def _keys_behind(args: Args) -> int:
    """Where the keys of the option KEYS begin; 0 when there is no such option."""
    words = {b"auth": 1, b"auth2": 2}
    at = 6
    while at < len(args):
        word = args[at].lower()
        if word == b"keys" and not args[_KEY_AT]:
            return at + 1
        at += 1 + words.get(word, 0)
    return 0


def _key_indexes(args: Args) -> list[int]:
    behind = _keys_behind(args)
    return list(range(behind, len(args))) if behind else [_KEY_AT]


def _parse(args: Args) -> _Order:
    keys, credentials = [args[_KEY_AT]], list[bytes]()
    copy = replace = False
    at = 6
    while at < len(args):
        word, more = args[at].lower(), len(args) - at - 1
        if word == b"copy":
            copy = True
        elif word == b"replace":
            replace = True
        elif (word == b"auth" and more >= 1) or (word == b"auth2" and more >= 2):
            count = 1 if word == b"auth" else 2
            credentials = args[at + 1 : at + 1 + count]
            at += count
        elif word == b"keys":
            if args[_KEY_AT]:
                raise CommandError(_KEYS_AND_KEY)
            keys = args[at + 1 :]
            break
        else:
            raise CommandError(SYNTAX)
        at += 1
    return _Order(keys, copy, replace, credentials)


class _Target:
    """The connection to the other server."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._reader = hiredis.Reader()

    async def ask(self, requests: list[Args]) -> list[object]:
        """The replies to `requests`. Raises CommandError when it does not answer."""
        doing = b"writing to target instance"
        try:
            for request in requests:
                await self._stream.send_all(encode(request, 2))
            doing = b"reading from target instance"
            replies: list[object] = []
            while len(replies) < len(requests):
                reply = self._reader.gets()
                if reply is not False:
                    replies.append(reply)
                    continue
                data = await self._stream.receive_some(_CHUNK_BYTES)
                if not data:
                    raise CommandError(_IO_ERROR % doing)
                self._reader.feed(data)
        except (trio.BrokenResourceError, hiredis.ProtocolError):
            raise CommandError(_IO_ERROR % doing) from None
        return replies


def _check(reply: object) -> None:
    if isinstance(reply, hiredis.ReplyError):
        raise CommandError(b"ERR Target instance replied with error: " + str(reply).encode())


@command("_migrate_read", arity=2, flags=READONLY, keys=FIRST, group="generic")
def migrate_read(view: View, args: Args) -> Reply:
    """The revision of a key, its time to live in milliseconds (0: for ever), and what RESTORE takes; null when it is
    not there."""
    head = view.head(args[1])
    if head is None:
        return None
    dump = COMMANDS[b"dump"].handler
    ttl_ms = max(head.expire_ms - view.now_ms, 1) if head.expire_ms else 0
    return [view.watch_revision(args[1]), ttl_ms, dump(view, [b"dump", args[1]])]


@command("_migrate_delete", arity=3, flags=WRITE, keys=FIRST, group="generic")
def migrate_delete(view: View, args: Args) -> Reply:
    """Delete a key if it still has this revision; whether it had."""
    if not view.exists(args[1]) or view.watch_revision(args[1]) != int(args[2]):
        return False
    view.delete(args[1])
    view.event(events.GENERIC, b"del", args[1])
    return True


@command(
    "migrate",
    arity=-6,
    flags=WRITE,
    keys=Keys(_KEY_AT, _KEY_AT, 1, _key_indexes, access="RW access delete,RW access delete incomplete"),
    where=NODE,
    since="2.6.0",
    group="generic",
    complexity="This command actually executes a DUMP+DEL in the source instance, and a RESTORE in the target"
    " instance. See the pages of these commands for time complexity. Also an O(N) data transfer between the two"
    " instances is performed.",
    categories="dangerous",
)
async def migrate(context: Context, args: Args) -> Reply:
    """Atomically transfers a key from one instance to another."""
    order = _parse(args)
    timeout_ms, db = integer(args[5]), integer(args[4])
    if timeout_ms <= 0:
        timeout_ms = _DEFAULT_TIMEOUT_MS
    found: list[tuple[bytes, int, int, bytes]] = []
    for key in dict.fromkeys(order.keys):
        value = await _call(context, key, [b"_migrate_read", key])
        if isinstance(value, list):
            found.append((key, *value))
    if not found:
        return Simple(b"NOKEY")
    doing = b"connecting to the client"
    try:
        with trio.fail_after(timeout_ms / 1000):
            stream = await trio.open_tcp_stream(args[1].decode("latin-1"), integer(args[2]))
            doing = b"reading from target instance"
            async with stream:
                target = _Target(stream)
                for reply in await target.ask(
                    [[b"AUTH", *order.credentials], [b"SELECT", b"%d" % db]][not order.credentials :]
                ):
                    _check(reply)
                options = [b"REPLACE"] if order.replace else []
                replies = await target.ask(
                    [[b"RESTORE", key, b"%d" % ttl_ms, value, *options] for key, _, ttl_ms, value in found]
                )
    except (OSError, trio.TooSlowError, UnicodeError):
        raise CommandError(_IO_ERROR % doing) from None
    changed = []
    for (key, revision, _, _), reply in zip(found, replies, strict=True):
        if isinstance(reply, hiredis.ReplyError) or order.copy:
            continue
        if not await _call(context, key, [b"_migrate_delete", key, b"%d" % revision]):
            changed.append(key)
    for reply in replies:
        _check(reply)
    if changed:
        raise CommandError(
            b"TRYAGAIN %d keys were written while they were copied, and are still here: '%b'"
            % (len(changed), changed[0][:128])
        )
    return OK


async def _call(context: Context, key: bytes, request: Args) -> object:
    """The reply of the leader of `key`. Raises CommandError."""
    group = context.node.topology.slot_groups[key_slot(key)]
    reply = await context.node.call(group, context.session.db, request)
    if isinstance(reply, hiredis.ReplyError):
        raise CommandError(str(reply).encode())
    return reply
