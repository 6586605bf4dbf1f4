"""What a command sees: the keys of one shard group at one instant, writable.

A handler reads through the view and writes into it; it never sees Raft, sockets, LevelDB or the clock. Writes
stay in `effects` until the executor takes them (`take_effects`), so a handler that raises has done nothing.
The same object is used again for each command of its group (`begin`), since a view per command would cost
more than the command.

It is made in four layers, each a class that knows nothing of the next: what was done, and the way back (layer.py);
databases (databases.py); their keys, each a head with all that hangs on it (heads.py); and here what stands around a
command: for whom it runs, the values with elements that it opens, what it leaves for the executor.
"""

from random import Random

from server.keyspace.breath import breathe
from server.keyspace.collection import Collection, compact_value, meta_of, open_collection, spread_element
from server.keyspace.deletions import Deletions
from server.keyspace.derived import Derived
from server.keyspace.events import KEY_MISS, MONITORED, PUBLISHED
from server.keyspace.heads import Heads
from server.keyspace.home import EVERYWHERE, Home
from server.keyspace.hot import MISSING, HotReplies
from server.keyspace.layout import (
    ELEMENT_PREFIX,
    ELEMENT_PREFIX_BYTES,
    ELEMENTS_EXPIRE,
    EXPIRES,
    EXPIRY_PREFIX_BYTES,
    HEAD_PREFIX,
    HEAD_PREFIX_BYTES,
    ID,
    ID_BYTES,
    REVISION_AT,
    REVISION_OFFSET,
    SPREAD,
    Head,
    element_range,
    expiry_rows,
    head_key,
)
from server.keyspace.limits import DEFAULTS, HasLimits, counts_uses
from server.keyspace.meta import DATABASES, Meta
from server.keyspace.notes import ScriptNotes
from server.keyspace.store import Store

derived_size_max = 200_000
"""Records that Derived stands for: about twenty megabytes."""
opened_max = 64
"""Collections that are kept as they are, see collection.py."""
_NULL_BYTES_MAX = 5
"""A null is shorter than any string's reply."""


class View(Heads):
    """The keys of one shard group, for the length of one command."""

    __slots__ = (
        "_opened",
        "caller",
        "committed",
        "derived",
        "home",
        "limits",
        "monitored",
        "protocol",
        "random",
        "script_notes",
        "wanders",
    )

    def __init__(
        self,
        base: Store,
        meta: Meta,
        random: Random,
        cache_limit: int = 1,
        first_index: int = 0,
        hot: HotReplies | None = None,
        home: Home = EVERYWHERE,
        limits: HasLimits = DEFAULTS,
    ) -> None:
        """`base`: the state below, which nobody changes but by this view's effects; `meta`: the group's
        databases, changed in place; `random`: for SPOP and its kin; `cache_limit`: see RecordCache;
        `first_index`: all that the view will write comes after it; `hot`: the node's, which the view keeps true."""
        super().__init__(base, meta, cache_limit, first_index, hot or HotReplies(DATABASES, 1))
        self._opened: dict[bytes, Collection] = {}
        """By key. One is good as long as its record is the key's: the very object, as others have had the same key."""
        self.committed = 0
        """A revision up to which everything is committed."""
        self.protocol = 2
        """The client's RESP version, for the few replies whose shape hangs on it."""
        self.random = random
        self.limits = limits
        """What OBJECT ENCODING hangs on; the server changes it in place."""
        self.derived = Derived(derived_size_max)
        """What commands have worked out about collections, for the next ones."""
        self.monitored = False
        """Somebody MONITORs this node: what scripts do is to be told."""
        self.script_notes: ScriptNotes | None = None
        """Where to note what scripts do, if another node or a client wants to know."""
        self.caller: object = None
        """The access.caller.Caller for whom scripts run; None: one who may do everything."""
        self.home = home
        """Which keys live in this group, for scripts, whose keys nobody has looked at."""
        self.wanders = False
        """The command is a script that may still run in another group: see dispatch/wandering.py."""

    # -- values with elements --------------------------------------------------------------------------------

    def collection(self, key: bytes, type_: int) -> Collection | None:
        """The elements of `key`, None when there is no such key; raises WRONGTYPE when it is not of `type_`. Changes
        to it are written by its `save`."""
        record = self._typed(key, type_)
        if record is None:
            return None
        found = self._opened.get(key)
        if found is None or found.record is not record:
            found = open_collection(self, key, record)
            if found.record is record:
                if len(self._opened) >= opened_max:
                    self._opened.clear()
                self._opened[key] = found
        return found

    def meta_in(self, key: bytes, type_: int) -> bytes | None:
        """The meta of `key`, as of `collection`."""
        record = self._typed(key, type_)
        return None if record is None else meta_of(record)

    def value_in(self, key: bytes, type_: int, element: bytes) -> bytes | None:
        """The value of one element of `key`, as of `collection`: what most reads want, for less."""
        record = self._typed(key, type_)
        if record is None:
            return None
        if not record[1] & SPREAD:
            return compact_value(record, element)
        return self.element(spread_element(record, element))

    def create(self, key: bytes, type_: int, meta: bytes = b"", encoding: int = 0) -> Collection:
        """An empty collection for `key`; whatever is there is replaced, expiry included, when it is saved."""
        return Collection(self, key, type_, encoding, 0, 0, meta, {})

    def new_id(self) -> int:
        """An id for a new collection's elements."""
        return self.ledger.new_id()

    def clone(self, head: Head) -> Head:
        """`head` with elements of its own: COPY. Costs a write for each."""
        if not head.encoding & SPREAD:
            return head
        id_ = self.new_id()
        start, stop = element_range(ID.unpack_from(head.payload)[0])
        target = ELEMENT_PREFIX.pack(b"e", id_)
        for where, value in list(self.elements(start, stop, False)):
            breathe()
            self.effects[target + where[ELEMENT_PREFIX_BYTES:]] = value
        return head._replace(payload=ID.pack(id_) + head.payload[ID_BYTES:])

    # -- use -------------------------------------------------------------------------------------------------

    def touch(self, key: bytes) -> bool:
        """Use `key`, if it is there; whether it is."""
        if not self.exists(key):
            return False
        self._cache.uses.note((key,))
        return True

    def idle_ms(self, key: bytes) -> int:
        """For how long `key` was not used, as far as known."""
        return max(self.now_ms - self._cache.uses.find(key, self.now_ms), 0)

    def set_idle(self, key: bytes, idle_ms: int) -> None:
        """Let it be as if `key`, which this command has written, was not used for so long."""
        self._cache.drop(key)
        self._cache.uses.put(key, self.now_ms - idle_ms)

    def use_count(self, key: bytes) -> int:
        """About the logarithm of how often `key` is used; while `counts_uses`."""
        return self._cache.uses.count(key, self.now_ms)

    def set_use_count(self, key: bytes, count: int) -> None:
        """Let it be as if `key`, which this command has written, was used that often."""
        self._cache.uses.put_count(key, count)

    def used_count(self) -> int:
        """About how many keys were used in this period."""
        return sum(len(cache.young) for cache in self._caches.values())

    def end_period(self, now_ms: int) -> None:
        """Begin a new one: see uses.py."""
        for cache in self._caches.values():
            cache.uses.counting = counts_uses(self.limits)
            cache.end_period(now_ms)

    # -- WATCH -----------------------------------------------------------------------------------------------

    def watch_revision(self, key: bytes) -> int:
        """What WATCH remembers: the revision of `key`; of one that is missing, below 0, one after which it has not
        come and gone. That is as far as the log is committed, as what comes after may be another leader's."""
        record = self.record(key, quiet=True)
        if record is not None:
            return int(REVISION_AT.unpack_from(record, REVISION_OFFSET)[0])
        self._deleted.watch(head_key(self._space, key))
        return -1 - max(self._gone(key), self.committed)

    def is_unchanged(self, key: bytes, revision: int) -> bool:
        """Whether `key` is as it was when `watch_revision` said `revision`. So many deletions are remembered, and of
        older ones when the last of them was: it may be taken for changed without need, but never the other way."""
        record = self.record(key, quiet=True)
        if record is not None:
            return int(REVISION_AT.unpack_from(record, REVISION_OFFSET)[0]) == revision
        return revision < 0 and self._gone(key) <= -1 - revision

    def _gone(self, key: bytes) -> int:
        """The revision at which `key`, which is missing, was there for the last time, as far as known."""
        where = head_key(self._space, key)
        revision = self._deleted.last(where)
        record = self.effects[where] if where in self.effects else self._base.get(where)
        if record is not None:  # past its time, and not deleted yet
            revision = max(revision, int(REVISION_AT.unpack_from(record, REVISION_OFFSET)[0]))
        if revision >> 16 > self._base.observed and self._pending:
            self._base.observed = revision >> 16
        return revision

    def recall(self, deletions: Deletions) -> None:
        """What is known of deletions before this view began, in revisions."""
        self._deleted = deletions

    # -- what scripts tell -----------------------------------------------------------------------------------

    def show(self, words: bytes) -> None:
        """Tell those who MONITOR that a script runs a command, whatever becomes of it."""
        self.events.append((MONITORED, words, self.db, b""))
        self._kept_events = len(self.events)

    def publish(self, channel: bytes, message: bytes, kind: int = 0) -> None:
        """Publish `message` on every node if this command goes through: PUBLISH in a script, or by `kind`
        (pubsub/hub.py) SPUBLISH."""
        self.events.append((PUBLISHED, message, kind, channel))

    # -- for the executor ------------------------------------------------------------------------------------

    def begin_entry(self, now_ms: int, index: int) -> None:
        """Commands run at `now_ms` from here on, and what they write will be in the entry at `index`."""
        self.now_ms = now_ms
        self.revision = index << 16

    def begin(self, db: int, protocol: int) -> None:
        """Start a command on database `db` (0 to 15) for a client that speaks RESP `protocol`."""
        if db != self.db:
            self.select(db)
        self.protocol = protocol
        self.revision += 1
        if self.ledger.spaces_index > self._base.observed:
            self._base.observed = self.ledger.spaces_index

    def rollback(self) -> None:
        """See Layer."""
        self._opened.clear()
        if self.effects:
            self.derived.clear()
        super().rollback()

    def abandon(self) -> None:
        """See Layer."""
        self._opened.clear()
        if self.effects:
            self.derived.clear()
        if self.script_notes is not None:
            self.script_notes.clear()
        super().abandon()

    def settle(self, key: bytes, reply: bytes) -> None:
        """For the executor: `reply` was the answer to GET `key` just now, and all that it says is committed."""
        record = self._cache.young.get(key)
        if record is None:
            if len(reply) <= _NULL_BYTES_MAX and not self.expired and not self.notify & KEY_MISS:
                self._hot.keep(self.db, key, MISSING)
        elif not record[1] & EXPIRES:
            self._hot.keep(self.db, key, reply)

    def settle_part(self, key: bytes, args: list[bytes], reply: bytes) -> None:
        """Likewise, for the answer to `args`, the request of a command whose answers are kept."""
        record = self._cache.young.get(key)
        if record is not None and not record[1] & (EXPIRES | ELEMENTS_EXPIRE):
            self._hot.keep_part(self.db, key, (self.protocol, *args), reply)

    def expire(self, row: bytes) -> bool:
        """Delete the key that a row of the expiry index names, if it still expires then. Whether it did."""
        key = self.select_due(row)
        if key is None:
            return False
        self.delete(key)
        return True

    def select_due(self, row: bytes) -> bytes | None:
        """The key that is due, or that has elements that are, by a row of the 'x' or the 'y' table, its database
        selected; None, and the row is deleted, when that is no longer so."""
        where = b"h" + row[EXPIRY_PREFIX_BYTES:]
        record = self._base.get(where)
        if record is not None and row in expiry_rows(record, where):
            space = HEAD_PREFIX.unpack_from(where)[1]
            for db, database in enumerate(self.ledger.meta.databases):
                if database.space == space:
                    self.select(db)
                    return where[HEAD_PREFIX_BYTES:]
        self.effects[row] = None
        return None
