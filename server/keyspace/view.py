"""What a command sees: the keys of one shard group at one instant, writable.

A handler reads through the view and writes into it; it never sees Raft, sockets, LevelDB or the clock. Writes
stay in `effects` until the executor takes them (`take_effects`), so a handler that raises has done nothing.
The same object is used again for each command of its group (`begin`), since a view per command would cost
more than the command.

The view keeps what hangs on a head: the expiry indexes, the counts in Meta, the revision. A handler that uses
`put` and `delete` can not forget them.

A key whose time has come is gone for every read here at once, exactly; its record stays until the leader
deletes it through the log (`expired` collects those that a command stumbled upon).
"""

from collections.abc import Callable, Iterator
from random import Random

from server.errors import WRONG_TYPE, CommandError
from server.keyspace.breath import breathe, paced
from server.keyspace.cache import RecordCache
from server.keyspace.collection import Collection, compact_value, meta_of, open_collection, spread_element
from server.keyspace.deletions import Deletions
from server.keyspace.derived import Derived
from server.keyspace.events import EXPIRED, FLUSHED, KEY_MISS, MONITORED, NEW, PUBLISHED, TRACKED, Event
from server.keyspace.home import EVERYWHERE, Home
from server.keyspace.hot import MISSING, HotReplies
from server.keyspace.kept import Kept
from server.keyspace.layout import (
    ATTACHED,
    ELEMENT_PREFIX,
    ELEMENT_PREFIX_BYTES,
    ELEMENTS_EXPIRE,
    EXPIRE_AT,
    EXPIRE_OFFSET,
    EXPIRES,
    EXPIRY_PREFIX_BYTES,
    HEAD_PREFIX,
    HEAD_PREFIX_BYTES,
    HEADER,
    HEADER_BYTES,
    ID,
    ID_BYTES,
    META_KEY,
    REVISION_AT,
    REVISION_OFFSET,
    SPACE_PREFIX,
    SPREAD,
    STRING,
    SWEEP_PREFIX,
    Head,
    decode_head,
    element_range,
    elements_expiry_key,
    expiry_key,
    expiry_rows,
    expiry_time,
    head_key,
    head_keys,
    head_range,
    orphans_key,
    same_elements,
    spread_id,
)
from server.keyspace.ledger import Ledger
from server.keyspace.limits import HasLimits, Limits
from server.keyspace.meta import DATABASES, Database, Meta
from server.keyspace.notes import ScriptNotes
from server.keyspace.order import Order, few_max, in_range, overlaid
from server.keyspace.store import Store, prefix_end

derived_size_max = 100_000
"""Records that Derived stands for: about ten megabytes."""
fresh_max = 4096
"""A command that writes more heads leaves none in the cache: they would drive out all others."""
opened_max = 64
"""Collections that are kept as they are, see collection.py."""
_NULL_BYTES_MAX = 5
"""A null is shorter than any string's reply."""
_decode_prefix = HEAD_PREFIX.unpack_from
_HEAD = ord("h")
_REVISION_BYTES = slice(REVISION_OFFSET, REVISION_OFFSET + REVISION_AT.size)


DEFAULTS = Limits()


class View:
    """The keys of one shard group, for the length of one command."""

    __slots__ = (
        "_absent",
        "_base",
        "_cache",
        "_cache_limit",
        "_caches",
        "_deleted",
        "_fresh",
        "_hot",
        "_kept_events",
        "_opened",
        "_order",
        "_parts",
        "_pending",
        "_replies",
        "_space",
        "caller",
        "committed",
        "db",
        "derived",
        "due_ms",
        "effects",
        "elements_due_ms",
        "events",
        "expired",
        "home",
        "ledger",
        "limits",
        "monitored",
        "notify",
        "now_ms",
        "origin",
        "protocol",
        "random",
        "revision",
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
        self._base = base
        self._pending = base.pending
        self._cache_limit = cache_limit
        self._caches: dict[int, RecordCache] = {}
        """By space."""
        self.ledger = Ledger(meta)
        """The databases: what they count, and where they lie."""
        self.committed = 0
        """A revision up to which everything is committed."""
        self._absent = b""
        """Where a head was looked for last that is not there, since the last take: who makes it need not look again."""
        self._deleted = Deletions(first_index << 16 | 0xFFFF)
        self._fresh: dict[bytes, bytes] = {}
        """Key to head that this command has put in the present space, for the cache."""
        self._opened: dict[bytes, Collection] = {}
        """By key. One is good as long as its record is the key's: the very object, as others have had the same key."""
        self._hot = hot or HotReplies(DATABASES, 1)
        self._replies = self._hot.databases[0]
        self._parts = self._hot.parts[0]
        self._space = -1
        self._cache: RecordCache
        self._enter(meta.databases[0].space)
        self.db = 0
        self.now_ms = 0
        """Unix time of the command, in milliseconds. It stands still while the command runs."""
        self.protocol = 2
        """The client's RESP version, for the few replies whose shape hangs on it."""
        self.revision = 0
        """Of what the present command writes: (index << 16 | its number in the entry). The executor ends the entry
        before it has seen 65,536 commands."""
        self.effects: dict[bytes, bytes | None] = {}
        """Store key to new value, or None to delete it."""
        self._order: Order | None = None
        """Of the keys of `effects`, when there are many and somebody scans."""
        self.due_ms = 0
        """No key expires before this time. The view lowers it, the expirer, who looks, raises it."""
        self.elements_due_ms = 0
        """Likewise for fields of hashes."""
        self.expired: list[tuple[int, bytes]] = []
        """(space, key) of keys that a read found past their time."""
        self.notify = 0
        """Classes of keyspace events (events.py) that somebody wants to hear of."""
        self.monitored = False
        """Somebody MONITORs this node: what scripts do is to be told."""
        self.events: list[Event] = []
        """(class, name, db, key) of events since the last take; the executor publishes and clears them."""
        self.script_notes: ScriptNotes | None = None
        """Where to note what scripts do, if another node or a client wants to know."""
        self.origin = b""
        """Who writes, where that matters: Session.origin."""
        self.derived = Derived(derived_size_max)
        """What commands have worked out about collections, for the next ones."""
        self.random = random
        self.caller: object = None
        """The access.caller.Caller for whom scripts run; None: one who may do everything."""
        self.home = home
        """Which keys live in this group, for scripts, whose keys nobody has looked at."""
        self.wanders = False
        """The command is a script that may still run in another group: see dispatch/wandering.py."""
        self.limits = limits
        """What OBJECT ENCODING hangs on; the server changes it in place."""
        self._kept_events = 0
        """Events before the last `keep`."""

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

    def select(self, db: int) -> None:
        """Go on with database `db`: the next command of a transaction."""
        self.db = db
        self._replies = self._hot.databases[db]
        self._parts = self._hot.parts[db]
        self._enter(self.ledger.meta.databases[db].space)

    def _enter(self, space: int) -> None:
        """Go on in `space`."""
        if space != self._space:
            self._space = space
            self._fresh.clear()
            if space not in self._caches:
                if len(self._caches) >= DATABASES:
                    self._caches.clear()  # spaces that were flushed
                self._caches[space] = RecordCache(self._cache_limit)
            self._cache = self._caches[space]

    def take_effects(self) -> dict[bytes, bytes | None]:
        """The writes since the last take; the view is clean afterwards. Of Meta only what SWAPDB made
        of it, see `Ledger.changed`."""
        effects = self.effects
        self.effects = {}
        self._absent = b""
        self._order = None
        fresh = self._fresh
        if fresh:
            if len(fresh) <= fresh_max:
                self._cache.keep_all(fresh)
            fresh.clear()
        if self.ledger.is_open:
            self.ledger.take(self.revision >> 16)
        self._kept_events = 0
        return effects

    def restamp(self, revision: int) -> None:
        """The command goes into another entry than it was begun for: what it wrote has this revision. It breathes."""
        old, self.revision = self.revision, revision
        before, after = REVISION_AT.pack(old), REVISION_AT.pack(revision)
        effects = self.effects
        for where, record in effects.items():
            breathe()
            if record is not None and where[0] == _HEAD and record[_REVISION_BYTES] == before:
                dict.__setitem__(
                    effects, where, record[:REVISION_OFFSET] + after + record[_REVISION_BYTES.stop :]
                )
        self._fresh.clear()
        self._deleted.restamp(old, revision)

    def keep(self) -> None:
        """What was written so far stays when the handler raises later: a script's commands are done one by one."""
        effects = self.effects
        if not effects and not self.events:
            return
        if isinstance(effects, Kept):
            effects.undo.clear()
        else:
            self.effects = Kept(effects)
        self.ledger.keep()
        self._kept_events = len(self.events)

    def rollback(self) -> None:
        """Forget the writes since the last take, or `keep`: the handler raised."""
        self._opened.clear()
        if self.effects:
            self.derived.clear()
        if isinstance(self.effects, Kept):
            gone = self.effects.restore()
            if self._order is not None:
                for where in gone:
                    self._order.discard(where)
        else:
            self.effects = {}
            self._order = None
        del self.events[self._kept_events :]
        self._fresh.clear()
        self.ledger.restore()
        self._enter(self.ledger.meta.databases[self.db].space)

    def abandon(self) -> None:
        """Forget all writes since the last take, kept or not: the command is not done, or will be done again."""
        self._opened.clear()
        if self.effects:
            self.derived.clear()
        self.effects = {}
        self._order = None
        self.events.clear()
        if self.script_notes is not None:
            self.script_notes.clear()
        self._fresh.clear()
        self.ledger.restore_all()
        self._enter(self.ledger.meta.databases[self.db].space)
        self._kept_events = 0

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
            space = _decode_prefix(where)[1]
            for db, database in enumerate(self.ledger.meta.databases):
                if database.space == space:
                    self.select(db)
                    return where[HEAD_PREFIX_BYTES:]
        self.effects[row] = None
        return None

    # -- reading ---------------------------------------------------------------------------------------------

    def record(self, key: bytes) -> bytes | None:
        """The raw head record of `key`, None when there is no such key (any more)."""
        record = self._cache.find(key)
        if record is None:
            where = head_key(self._space, key)
            effects = self.effects
            if where in effects:
                record = effects[where]
            else:
                record = self._base.get(where)
                if record is None:
                    self._absent = where
                else:
                    self._cache.keep(key, record)
            if record is None and self.notify & KEY_MISS:
                self.events.append((KEY_MISS, b"keymiss", self.db, key))
        elif self._pending:
            index = REVISION_AT.unpack_from(record, REVISION_OFFSET)[0] >> 16
            if index > self._base.observed:
                self._base.observed = index
        if (
            record is not None
            and record[1] & EXPIRES
            and EXPIRE_AT.unpack_from(record, EXPIRE_OFFSET)[0] <= self.now_ms
        ):
            self.expired.append((self._space, key))
            if self.notify & KEY_MISS:
                self.events.append((KEY_MISS, b"keymiss", self.db, key))
            return None
        return record

    def head(self, key: bytes) -> Head | None:
        """The head of `key`, decoded, None when there is no such key."""
        record = self.record(key)
        return None if record is None else decode_head(record)

    def head_at_rest(self, key: bytes) -> Head | None:
        """The head of `key` as it is stored, be it past its time; None when there is none."""
        record = self.element(head_key(self._space, key))
        return None if record is None else decode_head(record)

    def payload(self, key: bytes, type_: int) -> bytes | None:
        """The payload of `key`, None when there is no such key; raises WRONGTYPE when it is not of `type_`."""
        record = self._typed(key, type_)
        return None if record is None else record[HEADER_BYTES:]

    def _typed(self, key: bytes, type_: int) -> bytes | None:
        """`record` of a key that has to be of `type_`."""
        record = self._cache.young.get(key)
        if record is None or record[1] & EXPIRES:
            record = self.record(key)
            if record is None:
                return None
        elif self._pending:
            index = REVISION_AT.unpack_from(record, REVISION_OFFSET)[0] >> 16
            if index > self._base.observed:
                self._base.observed = index
        if record[0] != type_:
            raise CommandError(WRONG_TYPE)
        return record

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

    def exists(self, key: bytes) -> bool:
        """Whether `key` is there."""
        breathe()
        return self.record(key) is not None

    def watch_revision(self, key: bytes) -> int:
        """What WATCH remembers: the revision of `key`; of one that is missing, below 0, one after which it has not
        come and gone. That is as far as the log is committed, as what comes after may be another leader's."""
        record = self.record(key)
        if record is not None:
            return int(REVISION_AT.unpack_from(record, REVISION_OFFSET)[0])
        self._deleted.watch(head_key(self._space, key))
        return -1 - max(self._gone(key), self.committed)

    def is_unchanged(self, key: bytes, revision: int) -> bool:
        """Whether `key` is as it was when `watch_revision` said `revision`. So many deletions are remembered, and of
        older ones when the last of them was: it may be taken for changed without need, but never the other way."""
        record = self.record(key)
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

    def key_count(self) -> int:
        """How many keys the database holds, expired ones that are not yet deleted included (DBSIZE)."""
        return self._counts().keys

    def expires_count(self) -> int:
        """How many of them have an expiry."""
        return self._counts().expires

    def _counts(self) -> Database:
        if self.ledger.counts_index > self._base.observed:
            self._base.observed = self.ledger.counts_index
        return self.ledger.meta.databases[self.db]

    def scan_keys(
        self, first_slot: int, first_crc: int, stop_slot: int
    ) -> Iterator[tuple[int, int, bytes, bytes | None]]:
        """Slot, crc32, key and raw head record of every key from (first_slot, first_crc) up to slot
        `stop_slot`, in that order. None for the record of a key past its time, so that the caller, who bounds
        how many it takes, can count it."""
        start, stop = head_range(self._space, first_slot, first_crc, stop_slot)
        now_ms = self.now_ms
        for where, record in self.elements(start, stop, False):
            _, _, slot, crc = _decode_prefix(where)
            dead = record[1] & EXPIRES and EXPIRE_AT.unpack_from(record, EXPIRE_OFFSET)[0] <= now_ms
            yield slot, crc, where[HEAD_PREFIX_BYTES:], None if dead else record

    def _scan(self, start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """The base's range, in key order or its reverse, with this command's own writes laid over it."""
        mine = self._mine(start, stop, reverse)
        return overlaid(self._base.scan(start, stop, reverse), mine, self.effects.get, reverse)

    def _mine(self, start: bytes, stop: bytes, reverse: bool) -> Iterator[bytes]:
        """The keys in [start, stop) that this command has written, in order or its reverse."""
        effects = self.effects
        if len(effects) <= few_max:
            return in_range(effects, start, stop, reverse)
        if self._order is None:
            self._order = Order()
        self._order.follow(effects)
        return self._order.range(start, stop, reverse)

    def element(self, where: bytes) -> bytes | None:
        """For Collection: the value of the element that lies at `where`."""
        effects = self.effects
        breathe()
        return effects[where] if where in effects else self._base.get(where)

    def elements(self, start: bytes, stop: bytes, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        """Everything in [start, stop) of the group's tables: where it lies, and its value."""
        return paced(self._scan(start, stop, reverse))

    def elements_under(
        self, prefix: bytes, start: bytes, stop: bytes | None, reverse: bool
    ) -> Iterator[tuple[bytes, bytes]]:
        """For Collection: the elements of the one at `prefix` in [start, stop) (None: to the end), and their values."""
        rows = self._base.scan_under(prefix, start, stop, reverse)
        effects = self.effects
        if effects:
            cut = len(prefix)
            mine = self._mine(prefix + start, prefix_end(prefix) if stop is None else prefix + stop, reverse)
            above = (key[cut:] for key in mine)
            rows = overlaid(rows, above, lambda key: effects.get(prefix + key), reverse)
        return paced(rows)

    # -- writing ---------------------------------------------------------------------------------------------

    def event(self, class_: int, name: bytes, key: bytes) -> None:
        """Tell subscribers of keyspace events (events.py) that `name` happened to `key` of the present database, if
        this command goes through."""
        if self.notify & class_:
            self.events.append((class_, name, self.db, key))

    def show(self, words: bytes) -> None:
        """Tell those who MONITOR that a script runs a command, whatever becomes of it."""
        self.events.append((MONITORED, words, self.db, b""))
        self._kept_events = len(self.events)

    def publish(self, channel: bytes, message: bytes, kind: int = 0) -> None:
        """Publish `message` on every node if this command goes through: PUBLISH in a script, or by `kind`
        (pubsub/hub.py) SPUBLISH."""
        self.events.append((PUBLISHED, message, kind, channel))

    def choose_events(self, choose: Callable[[list[Event]], list[Event]]) -> None:
        """Keep of the events since the last `keep` those that `choose` returns."""
        first = self._kept_events
        self.events[first:] = choose(self.events[first:])

    def take_events(self) -> list[Event]:
        """For the executor: the events since the last take."""
        events, self.events = self.events, []
        self._kept_events = 0
        return events

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

    def put(self, key: bytes, type_: int, payload: bytes, expire_ms: int = 0, encoding: int = 0) -> None:
        """Write the whole head of `key`, new or not. `expire_ms`: Unix time, 0 for none; give the old one to
        keep it."""
        where = head_key(self._space, key)
        effects = self.effects
        old = self._take(key, where)
        if self.notify & TRACKED:
            self.events.append((TRACKED, self.origin, self.db, key))
        if old is None:
            self.ledger.count(self.db, 1, 1 if expire_ms else 0)
            if self.notify:
                self.event(NEW, b"new", key)
        elif (old[1] & ATTACHED or expire_ms) and not same_elements(old, payload, expire_ms, encoding):
            old_ms = EXPIRE_AT.unpack_from(old, EXPIRE_OFFSET)[0]
            if bool(old_ms) != bool(expire_ms):
                self.ledger.count(self.db, 0, 1 if expire_ms else -1)
            for row in expiry_rows(old, where):
                effects[row] = None
            if self.notify and 0 < old_ms <= self.now_ms:
                self.event(EXPIRED, b"expired", key)
                self.event(NEW, b"new", key)
            if old[1] & SPREAD and not (encoding & SPREAD and ID.unpack_from(payload)[0] == spread_id(old)):
                effects[orphans_key(spread_id(old))] = b""
        if expire_ms:
            effects[expiry_key(expire_ms, where)] = b""
            if expire_ms < self.due_ms:
                self.due_ms = expire_ms
            encoding |= EXPIRES
        record = HEADER.pack(type_, encoding, self.revision, expire_ms) + payload
        effects[where] = self._fresh[key] = record
        if encoding & ELEMENTS_EXPIRE:
            effects[row := elements_expiry_key(record, where)] = b""
            self.elements_due_ms = min(self.elements_due_ms, expiry_time(row))

    def put_spread(self, collection: Collection, payload: bytes) -> None:
        """`put` of the head of a collection that is spread, which is cheap as long as nothing but its elements hangs on
        the one that it replaces."""
        key, old, where = collection.key, collection.record, collection.where
        if not where:
            where = collection.where = head_key(self._space, key)
        effects = self.effects
        encoding = collection.encoding | SPREAD
        if (
            old is None
            or old[1] & ATTACHED != SPREAD
            or encoding & ELEMENTS_EXPIRE
            or collection.expire_ms
            or effects.get(where, old) is not old
        ):
            self.put(key, collection.type, payload, collection.expire_ms, encoding)
            collection.record = effects[where]
            return
        if where not in effects:
            self._replies.pop(key, None)
            if self._parts:
                self._parts.pop(key, None)
            self._cache.take(key)
        if self.notify & TRACKED:
            self.events.append((TRACKED, self.origin, self.db, key))
        record = HEADER.pack(collection.type, encoding, self.revision, 0) + payload
        effects[where] = self._fresh[key] = collection.record = record

    def put_strings(self, keys: list[bytes], values: list[bytes]) -> None:
        """`put` of plain strings that do not expire, many at once; while nobody listens to events."""
        assert not self.notify
        effects, fresh, take = self.effects, self._fresh, self._take
        header = HEADER.pack(STRING, 0, self.revision, 0)
        added = 0
        for key, where, value in paced(
            zip(keys, head_keys(self._space, paced(iter(keys))), values, strict=True)
        ):
            old = take(key, where)
            if old is None:
                added += 1
            elif old[1] & ATTACHED:
                self.put(key, STRING, value)
                continue
            effects[where] = fresh[key] = header + value
        if added:
            self.ledger.count(self.db, added, 0)

    def put_head(self, key: bytes, head: Head) -> None:
        """Write `head` (its revision apart, which is this command's) under `key`: RENAME, COPY, PERSIST,
        EXPIRE."""
        self.put(key, head.type, head.payload, head.expire_ms, head.encoding)

    def delete(self, key: bytes, keep_elements: bool = False) -> bool:
        """Delete `key`. Whether there was such a key: one past its time was not there, and is deleted all the
        same. `keep_elements`: another head has them now (RENAME, MOVE)."""
        where = head_key(self._space, key)
        effects = self.effects
        self._absent = b""  # that it is missing is an answer, which waits for whoever deleted it
        old = self._take(key, where)
        if old is None:
            return False
        if self.notify & TRACKED:
            self.events.append((TRACKED, self.origin, self.db, key))
        effects[where] = None
        self._fresh.pop(key, None)
        self.ledger.count(self.db, -1, -1 if old[1] & EXPIRES else 0)
        for row in expiry_rows(old, where):
            effects[row] = None
        if old[1] & SPREAD and not keep_elements:
            effects[orphans_key(spread_id(old))] = b""
        if old[1] & EXPIRES and EXPIRE_AT.unpack_from(old, EXPIRE_OFFSET)[0] <= self.now_ms:
            self.event(EXPIRED, b"expired", key)
            self._deleted.note(where, REVISION_AT.unpack_from(old, REVISION_OFFSET)[0])
            return False
        self._deleted.note(where, self.revision)
        return True

    def flush(self) -> None:
        """Empty the database: its keys are left behind in their space, to be swept in the background."""
        if self.notify & FLUSHED:
            self.events.append((FLUSHED, b"", self.db, b""))
        database = self._counts()
        if not database.keys:
            return
        self.ledger.save()
        old, new = (SPACE_PREFIX.pack(b"h", space) for space in (database.space, self.ledger.meta.next_space))
        self._deleted.flush(self.revision, old, new, self._lies)
        self.effects[SWEEP_PREFIX.pack(b"q", database.space)] = b""
        self._hot.clear()
        database.space = self.ledger.meta.next_space
        database.keys = database.expires = 0
        self.ledger.meta.next_space += 1
        self._enter(database.space)

    def _lies(self, where: bytes) -> bool:
        """Whether there is a record, of a key past its time or not."""
        return (self.effects[where] if where in self.effects else self._base.get(where)) is not None

    def swap(self, first: int, second: int) -> None:
        """Let two databases change their contents (SWAPDB)."""
        if self.notify & FLUSHED:
            self.events.append((FLUSHED, b"", self.db, b""))
        self.ledger.save()
        databases = self.ledger.meta.databases
        databases[first], databases[second] = databases[second], databases[first]
        self._hot.clear()
        self._enter(databases[self.db].space)
        # The change is in Meta alone, but it is an effect: without one the command would count as a read.
        self.effects[META_KEY] = self.ledger.meta.encode()

    def _take(self, key: bytes, where: bytes) -> bytes | None:
        """The raw record of a key that is about to change, past its time or not."""
        effects = self.effects
        if where in effects:
            return effects[where]
        self._replies.pop(key, None)
        if self._parts:
            self._parts.pop(key, None)
        record = self._cache.take(key)
        return self._base.get(where) if record is None and where != self._absent else record
