"""Calls that wait at the leader for a key: BLPOP and its kin found nothing that could serve them.

A call waits under each of its keys, first come first served. When a command has written such a key, the shard runs the
calls that wait for it again (`serve`): what they do is then as if they had come at this moment, and whoever is
served leaves all its queues. A command is only woken by a key of its own type, as in Redis; XREADGROUP by any change,
since a stream that goes away is news to a consumer group too.

Nothing of this is in the log. Who waits when the leadership is lost goes on waiting at the next leader, for what is
left of its time (`Call.since_s`).
"""

from collections.abc import Callable, Iterable, Mapping
from heapq import heapify, heappop, heappush

from resp import Error, encode
from server.errors import CLIENT_UNBLOCKED, WouldBlock
from server.keyspace.layout import HEAD_PREFIX, HEAD_PREFIX_BYTES, LIST, META_KEY, STREAM, ZSET
from server.keyspace.meta import Database
from server.shard.call import Call

_TYPES = {"list": LIST, "sorted-set": ZSET, "stream": STREAM}
_WOKEN_BY_ANY_CHANGE = "xreadgroup"
_HEAD, _SWEEP = b"hq"
NULL_ARRAY = {2: b"*-1\r\n", 3: b"_\r\n"}
"""The reply to a call that waited in vain, by protocol."""

served_per_round_max = 1000
"""Waiting calls that are served in a row; they are commands of the entry like others."""


class Waiter:
    """A call that waits."""

    __slots__ = ("args", "call", "deadline_s", "keys", "type")

    def __init__(self, call: Call, why: WouldBlock, deadline_s: float) -> None:
        self.call = call
        self.args = why.retry_args or call.args
        self.keys = why.keys
        self.deadline_s = deadline_s
        """Unix time; 0: none."""
        row = call.command
        self.type = None if row.name == _WOKEN_BY_ANY_CHANGE else _TYPES.get(row.group)
        """What its keys have to be; None: whatever they are."""


class Waiters:
    """All calls that wait for keys of one group."""

    def __init__(self) -> None:
        self.keys: dict[tuple[int, bytes], dict[Call, Waiter]] = {}
        """(db, key) to who waits for it, in order."""
        self.woken: dict[tuple[int, bytes], None] = {}
        """Keys of those that were written since they were last served, in order."""
        self._calls: dict[Call, Waiter] = {}
        self._deadlines: list[tuple[float, int, Call]] = []
        """A heap; calls that wait no longer stay in it until their time."""

    def __len__(self) -> int:
        return len(self._calls)

    def __contains__(self, call: Call) -> bool:
        return call in self._calls

    def add(self, call: Call, why: WouldBlock) -> None:
        """`call` waits from now on, behind those that are there."""
        waiter = Waiter(call, why, call.since_s + why.timeout_ms / 1000 if why.timeout_ms else 0.0)
        self._calls[call] = waiter
        for key in why.keys:
            self.keys.setdefault((call.db, key), {})[call] = waiter
        if waiter.deadline_s:
            heappush(self._deadlines, (waiter.deadline_s, call.order, call))

    def remove(self, call: Call) -> bool:
        """`call` waits no longer; whether it did."""
        waiter = self._calls.pop(call, None)
        if waiter is None:
            return False
        for key in waiter.keys:
            queue = self.keys.get((call.db, key))
            if queue is not None:
                queue.pop(call, None)
                if not queue:
                    del self.keys[call.db, key]
        if len(self._deadlines) > 2 * len(self._calls) + 64:
            self._deadlines = [entry for entry in self._deadlines if entry[2] in self._calls]
            heapify(self._deadlines)
        return True

    def serve(self, attempt: Callable[[Waiter, bytes], bool | None]) -> None:
        """Run those again that wait for keys which have been written, and for those that they write in turn: some of
        them may be left. `attempt`: runs one as that key has changed; whether it was served, None: no such key."""
        woken = self.woken
        served = 0
        while woken and served < served_per_round_max:
            where = next(iter(woken))
            del woken[where]
            gone = False
            for waiter in list(self.keys.get(where, {}).values()):
                if (gone and waiter.type is not None) or waiter.call not in self._calls:
                    continue
                if served == served_per_round_max:
                    woken[where] = None
                    break
                found = attempt(waiter, where[1])
                gone = found is None
                served += bool(found)

    def end(self, call: Call, *, error: bool) -> bool:
        """Let `call` wait no longer, as if its time were over or with an error; whether it did wait."""
        waited = self.remove(call)
        if waited:
            call.note_unblocked(error=error)
            reply = encode(Error(CLIENT_UNBLOCKED), call.protocol) if error else NULL_ARRAY[call.protocol]
            call.slot.fill(reply)
        return waited

    def end_overdue(self, now_s: float) -> None:
        """Answer those whose time is over."""
        for call in self._overdue(now_s):
            call.slot.fill(NULL_ARRAY[call.protocol])

    def move(self) -> list[Call]:
        """They wait at the next leader: those that came from other nodes are sent back, ours are returned."""
        ours = []
        for waiter in self._clear():
            call = waiter.call
            if call.forwarded is not None:
                call.forwarded.refuse(0, waiter.args)
            else:
                call.args = waiter.args
                call.deadline_s = 0.0
                ours.append(call)
        return ours

    def take_those_that_saw(self, index: int) -> list[Call]:
        """Calls that began to wait as they saw what was to be at `index`, and is not."""
        saw_it = [waiter for waiter in self._calls.values() if waiter.call.gate == index]
        for waiter in saw_it:
            self.remove(waiter.call)
            waiter.call.args = waiter.args
            waiter.call.deadline_s = 0.0
        return [waiter.call for waiter in saw_it]

    def _clear(self) -> list[Waiter]:
        """Nobody waits any more; who did, in the order in which they came."""
        waiters = list(self._calls.values())
        self.keys.clear()
        self.woken.clear()
        self._calls.clear()
        self._deadlines.clear()
        return waiters

    def _overdue(self, now_s: float) -> list[Call]:
        """Take out those whose time is over."""
        found = []
        while self._deadlines and self._deadlines[0][0] <= now_s:
            call = heappop(self._deadlines)[2]
            if self.remove(call):
                found.append(call)
        return found

    def note(self, effects: Mapping[bytes, bytes | None], databases: Iterable[Database]) -> None:
        """These effects are part of the state now: remember the keys among them that somebody waits for."""
        if META_KEY in effects:  # SWAPDB: any key may be another one
            self.woken.update(dict.fromkeys(self.keys))
            return
        spaces = {database.space: db for db, database in enumerate(databases)}
        for where in effects:
            if where[0] == _SWEEP:  # FLUSHDB: all keys of a database are gone
                self.woken.update(dict.fromkeys(self.keys))
            elif where[0] == _HEAD:
                db = spaces.get(HEAD_PREFIX.unpack_from(where)[1])
                key = where[HEAD_PREFIX_BYTES:]
                if db is not None and (db, key) in self.keys:
                    self.woken[db, key] = None
