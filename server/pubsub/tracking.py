"""Client-side caching: who on this node remembers which keys, and what they are told when these change.

A client that caches the reply to a read must be told of every later committed write to its keys. It may be told too
often, never too seldom. That rests on these:

* The leader of a key's group makes an event of every change (`TRACKED`, in View) and sends it when the change is
  committed, by the way that keyspace events take (hub.py, lane.py): to its own clients and to every node that wants it.
* The keys that a client read are remembered here, on its own node, when the request arrives: before anybody evaluates
  it. So no write that comes after the evaluation can find them missing.
* What a client is told goes behind the replies that are due to it (`Outlet.inform`). A write whose news overtakes the
  reply of an earlier read (they come over different connections) is so still told after that reply. Keys of a client
  to which replies are due stay remembered when they are told, since what it is about to get may be newer.
* A node wants the events before its first client tracks anything: CLIENT TRACKING is answered when every node that it
  is connected to has acknowledged (or some time has passed). A node that acknowledges later, or again, may have
  committed something unheard until then: all clients are told to forget everything. So they are when the connection to
  or from a node breaks, or when it could not take some frame. Until a node to which calls can be forwarded has
  acknowledged, the keys of each read are told right behind its reply.
* A new leader does not know whether what it inherits was told: it tells everybody to forget everything, as soon as it
  has committed what it inherits and before it answers anything. FLUSHDB, FLUSHALL and SWAPDB do the same.
* With REDIRECT what is told and the replies go over two connections, and the client has to mind, as with Redis, that
  it may hear of a change before it has the reply to a read that it has sent.
* Clients that track are not answered by replicas, which may not have applied what was told already.

What remains is time: a client of a node that is cut off is told when its node notices that, see raft/runtime/links.py.

All is told at the end of the turn, once for each key, so that nothing stands before the reply of its own turn. Keys
are the same in all databases, as in Redis. To add an option of CLIENT TRACKING: a field of Tracker (server/session.py),
and commands/tracking.py.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import trio

from resp import encode
from resp.values import Push
from server.keyspace.events import FLUSHED, TRACKED, Event
from server.session import Guard, Session, Tracker

CHANNEL = b"__redis__:invalidate"
"""Where RESP2 clients are told, in a connection that listens to it."""
acknowledge_s = 2.0
"""So long CLIENT TRACKING waits for the other nodes; one that comes later makes everybody forget everything."""
_MESSAGE = b"*3\r\n$7\r\nmessage\r\n" + encode(CHANNEL, 2)


class Tracking:
    """The clients of one node that cache what they read."""

    def __init__(self, sessions: Mapping[int, Session], node: int = 1) -> None:
        """`sessions`: the node's, by id; `node`: its number."""
        self.trackers: dict[Session, None] = {}
        self.keys: dict[bytes, set[int]] = {}
        """Key to the ids of the clients that read it, the oldest key first. Some of these may have left."""
        self.prefixes: dict[bytes, dict[Session, None]] = {}
        """Of the clients that track by prefix. Invariant: none is empty."""
        self._lengths: Counter[int] = Counter()
        """How many of them are so long: a key is looked up by what it begins with, however many prefixes there are."""
        self.keys_max = 0
        """tracking-table-max-keys; 0: no limit."""
        self.busy = False
        """`end_turn` has something to do."""
        self.on_wanted: Callable[[], None] = lambda: None
        """Told when `wanted` may have changed."""
        self.unacknowledged: Callable[[set[int]], bool] = lambda nodes: False
        """Whether calls may be forwarded to a node that is not among these."""
        self._sessions = sessions
        self._node = node
        self._starting = 0
        self._acknowledged: set[int] = set()
        """Nodes that send us events of what is committed."""
        self._news = trio.Event()
        self._changed: dict[bytes, bytes] = {}
        """Keys that changed in this turn, and who changed them; nobody in particular when there were several."""
        self._flushed = False
        self._seen: dict[int, tuple[bytes, set[bytes]]] = {}
        """Client id to the name of its latest transaction, and the keys of which it saw what that made of them."""
        self._unsure: list[tuple[Session, list[bytes]]] = []
        """Reads whose keys are told at the end of the turn, come what may."""

    # -- clients ---------------------------------------------------------------------------------------------

    @property
    def wanted(self) -> bool:
        """Whether this node wants to hear of changes."""
        return bool(self.trackers) or self._starting > 0

    async def enable_when_acknowledged(self, session: Session, tracker: Tracker) -> None:
        """`enable` when the nodes that may answer this one's reads tell it of changes. If cancelled, nothing is."""
        self._starting += 1
        self.on_wanted()
        try:
            with trio.move_on_after(acknowledge_s):
                while self.unacknowledged(self._acknowledged):
                    await self._news.wait()
            self.enable(session, tracker)
        finally:
            self._starting -= 1
            self.on_wanted()

    @property
    def must_wait(self) -> bool:
        """Whether a client has to be enabled by `enable_when_acknowledged`."""
        return self.unacknowledged(self._acknowledged if self.wanted else set())

    def enable(self, session: Session, tracker: Tracker) -> None:
        """Track for `session` as `tracker` says, from now on; its prefixes come on top of those that it has."""
        if session.tracking is not None:
            tracker.prefixes = [*session.tracking.prefixes, *tracker.prefixes]
        for prefix in tracker.prefixes:
            if prefix not in self.prefixes:
                self.prefixes[prefix] = {}
                self._lengths[len(prefix)] += 1
            self.prefixes[prefix][session] = None
        session.tracking = tracker
        session.origin = self.name(session) if tracker.noloop else b""
        session.guard(Guard.TRACKING, not tracker.bcast or tracker.noloop)
        self.trackers[session] = None
        self.on_wanted()

    def disable(self, session: Session) -> None:
        """`session` tracks nothing any more."""
        if session.tracking is None:
            return
        for prefix in session.tracking.prefixes:
            self.prefixes[prefix].pop(session, None)
            if not self.prefixes[prefix]:
                del self.prefixes[prefix]
                self._lengths[len(prefix)] -= 1
                if not self._lengths[len(prefix)]:
                    del self._lengths[len(prefix)]
        self._seen.pop(session.id, None)
        session.tracking = None
        session.origin = b""
        session.guard(Guard.TRACKING, False)
        del self.trackers[session]
        if not self.trackers:
            self.keys.clear()
        self.on_wanted()

    def remember(self, session: Session, keys: list[bytes]) -> list[bytes]:
        """`session` is about to read these. Those that were not remembered before."""
        table, id_ = self.keys, session.id
        new = []
        for key in keys:
            ids = table.get(key)
            if ids is None:
                table[key] = {id_}
                new.append(key)
            elif id_ not in ids:
                ids.add(id_)
                new.append(key)
        if self.keys_max and len(table) > self.keys_max:
            self.busy = True
        if self.unacknowledged(self._acknowledged):
            self._unsure.append((session, keys))
            self.busy = True
        return new

    def has_seen(self, session: Session, origin: bytes, keys: set[bytes]) -> None:
        """What `origin` does to these keys need not be told to `session`."""
        self._seen[session.id] = (origin, keys)

    def forget(self, session: Session, keys: list[bytes]) -> None:
        """`session` did not read these after all."""
        for key in keys:
            ids = self.keys.get(key)
            if ids is not None:
                ids.discard(session.id)
                if not ids:
                    del self.keys[key]

    def name(self, session: Session) -> bytes:
        """Who a client is among all clients of all nodes."""
        return b"%d:%d" % (self._node, session.id)

    def limit(self, keys_max: int) -> None:
        """tracking-table-max-keys has a new value."""
        self.keys_max = keys_max
        self.busy = True

    @property
    def item_count(self) -> int:
        """Pairs of key and client."""
        return sum(map(len, self.keys.values()))

    # -- what happened ---------------------------------------------------------------------------------------

    def happened(self, events: Iterable[Event]) -> None:
        """These were committed; those that are no changes of keys do not matter."""
        changed = self._changed
        for class_, origin, _db, key in events:
            if class_ == TRACKED:
                changed[key] = origin if changed.get(key, origin) == origin else b""
                self.busy = True
            elif class_ == FLUSHED:
                self.forget_everything()

    def forget_everything(self) -> None:
        """Every client is to forget all that it caches."""
        self._flushed = self.busy = True

    def acknowledged(self, node: int) -> None:
        """From now on `node` sends what this one wants of what it commits."""
        if self.wanted and node not in self._acknowledged:
            self._acknowledged.add(node)
            self._news.set()
            self._news = trio.Event()
            self.forget_everything()

    def lost(self, node: int) -> None:
        """Something that `node` committed may not have been told, or may not be."""
        if node in self._acknowledged:
            self._acknowledged.discard(node)
            self.forget_everything()

    def start_over(self) -> None:
        """No node tells of what it commits, until it acknowledges again."""
        self._acknowledged.clear()

    # -- telling ---------------------------------------------------------------------------------------------

    def end_turn(self) -> None:
        """Tell what happened in this turn."""
        self.busy = False
        changed, self._changed = self._changed, {}
        unsure, self._unsure = self._unsure, []
        if not self.trackers:
            self._flushed = False
            return
        if self._flushed:
            self._flushed = False
            self._flush()
        elif changed:
            if self.prefixes:
                self._broadcast(changed)
            table = self.keys
            for key, origin in changed.items():
                if key in table:
                    self._invalidate(key, origin)
        for session, keys in unsure:
            if session.tracking is not None:
                for key in keys:
                    self._tell(session, session.tracking, [key])
        if self.keys_max:
            for _ in range(len(self.keys) - self.keys_max):
                self._invalidate(next(iter(self.keys)), b"")

    def _flush(self) -> None:
        due = {session.id for session in self.trackers if session.outlet.replies_due}
        self.keys = {key: ids & due for key, ids in self.keys.items() if ids & due} if due else {}
        for session in list(self.trackers):
            if session.tracking is not None:
                self._tell(session, session.tracking, None)

    def _broadcast(self, changed: dict[bytes, bytes]) -> None:
        found: dict[bytes, dict[bytes, bytes]] = {}
        for key, origin in changed.items():
            for length in self._lengths:
                prefix = key[:length]
                if len(prefix) == length and prefix in self.prefixes:
                    found.setdefault(prefix, {})[key] = origin
        for prefix in sorted(found):
            for session in list(self.prefixes.get(prefix, ())):
                tracker = session.tracking
                if tracker is not None:
                    keys = [
                        key
                        for key, origin in found[prefix].items()
                        if not tracker.noloop or origin != session.origin
                    ]
                    if keys:
                        self._tell(session, tracker, keys)

    def _invalidate(self, key: bytes, origin: bytes) -> None:
        kept = set()
        for id_ in self.keys.pop(key):
            session = self._sessions.get(id_)
            tracker = session.tracking if session is not None else None
            if session is None or tracker is None or tracker.bcast:
                continue
            own = (tracker.noloop and origin == session.origin) or self._saw(id_, origin, key)
            if own or session.outlet.replies_due:
                kept.add(id_)
            if not own:
                self._tell(session, tracker, [key])
        if kept:
            self.keys[key] = kept

    def _saw(self, id_: int, origin: bytes, key: bytes) -> bool:
        seen = self._seen.get(id_)
        return seen is not None and origin == seen[0] and key in seen[1]

    def _tell(self, session: Session, tracker: Tracker, keys: list[bytes] | None) -> None:
        """Send the client of `session`, or the one that it names, these keys; None: everything."""
        target = session
        if tracker.redirect:
            found = self._sessions.get(tracker.redirect)
            if found is None:
                tracker.broken = True
                if session.protocol == 3:
                    session.outlet.inform(encode(Push([b"tracking-redir-broken", tracker.redirect]), 3))
                return
            target = found
        if target.protocol == 3:
            target.outlet.inform(encode(Push([b"invalidate", keys]), 3))
        elif tracker.redirect and target.subscriptions is not None:
            target.outlet.inform(_MESSAGE + encode(keys, 2))
