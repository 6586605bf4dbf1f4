"""The keys of the selected database: their head records, and all that hangs on them.

Who writes a head through `put` and `delete` can forget none of it: the expiry indexes, the counts in Meta, the
revision, the elements that are left behind, what WATCH has to know of a deletion, the events, and what is kept of the
key in caches.

A key whose time has come is gone for every read here at once, exactly; its record stays until the leader deletes it
through the log (`expired` collects those that a command stumbled upon).
"""

from server.errors import WRONG_TYPE, CommandError
from server.keyspace.breath import breathe, paced
from server.keyspace.collection import Collection
from server.keyspace.databases import Databases
from server.keyspace.events import EXPIRED, KEY_MISS, NEW, TRACKED
from server.keyspace.hot import HotReplies
from server.keyspace.layout import (
    ATTACHED,
    ELEMENTS_EXPIRE,
    EXPIRE_AT,
    EXPIRE_OFFSET,
    EXPIRES,
    HEAD,
    HEADER,
    HEADER_BYTES,
    ID,
    REVISION_AT,
    REVISION_OFFSET,
    SPREAD,
    STRING,
    Head,
    decode_head,
    elements_expiry_key,
    expiry_key,
    expiry_rows,
    expiry_time,
    head_key,
    head_keys,
    orphans_key,
    same_elements,
    spread_id,
)
from server.keyspace.meta import Meta
from server.keyspace.store import Store

kept_max = 4096
"""What a command writes beyond so many records is not kept in the cache: it would drive out all others."""
_REVISION_BYTES = slice(REVISION_OFFSET, REVISION_OFFSET + REVISION_AT.size)


class Heads(Databases):
    """Those of a database's keys."""

    __slots__ = ("_absent", "_pending", "due_ms", "elements_due_ms", "expired", "origin")

    def __init__(self, base: Store, meta: Meta, cache_limit: int, first_index: int, hot: HotReplies) -> None:
        """See View."""
        super().__init__(base, meta, cache_limit, first_index, hot)
        self._pending = base.pending
        self._absent = b""
        """Where a head was looked for last that is not there, since the last take: who makes it need not look again."""
        self.due_ms = 0
        """No key expires before this time. It is lowered here; the expirer, who looks, raises it."""
        self.elements_due_ms = 0
        """Likewise for fields of hashes."""
        self.expired: list[tuple[int, bytes]] = []
        """(space, key) of keys that a read found past their time."""
        self.origin = b""
        """Who writes, where that matters: Session.origin."""

    # -- reading ---------------------------------------------------------------------------------------------

    def record(self, key: bytes, quiet: bool = False) -> bytes | None:
        """The raw head record of `key`, None when there is no such key (any more). `quiet`: it is not used thereby."""
        quiet = quiet or self._hot.quiet
        record = self._cache.peek(key) if quiet else self._cache.find(key, self.now_ms)
        if record is None:
            where = head_key(self._space, key)
            effects = self.effects
            if where in effects:
                record = effects[where]
            else:
                record = self._base.get(where)
                if record is None:
                    self._absent = where
                elif quiet:
                    self._cache.keep_unused(key, record)
                else:
                    self._cache.keep(key, record, self.now_ms)
            if record is None and self.notify & KEY_MISS:
                self.events.append((KEY_MISS, b"keymiss", self.db, key))
        elif self._pending:
            self._observe(record)
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

    def _typed(self, key: bytes, type_: int) -> bytes | None:
        """`record` of a key that has to be of `type_`."""
        record = self._cache.young.get(key)
        if record is None or record[1] & EXPIRES:
            record = self.record(key)
            if record is None:
                return None
        elif self._pending:
            self._observe(record)
        if record[0] != type_:
            raise CommandError(WRONG_TYPE)
        return record

    def _observe(self, record: bytes) -> None:
        """A record of the cache was seen, which may not be applied yet. What this very command has written is nothing
        to wait for: should the command fail, it will never be."""
        revision = REVISION_AT.unpack_from(record, REVISION_OFFSET)[0]
        if revision >> 16 > self._base.observed and revision != self.revision:
            self._base.observed = revision >> 16

    def head(self, key: bytes, quiet: bool = False) -> Head | None:
        """The head of `key`, decoded, None when there is no such key. `quiet`: as in `record`."""
        record = self.record(key, quiet)
        return None if record is None else decode_head(record)

    def head_at_rest(self, key: bytes) -> Head | None:
        """The head of `key` as it is stored, be it past its time; None when there is none."""
        record = self.element(head_key(self._space, key))
        return None if record is None else decode_head(record)

    def payload(self, key: bytes, type_: int) -> bytes | None:
        """The payload of `key`, None when there is no such key; raises WRONGTYPE when it is not of `type_`."""
        record = self._typed(key, type_)
        return None if record is None else record[HEADER_BYTES:]

    def exists(self, key: bytes) -> bool:
        """Whether `key` is there. To ask is not to use it."""
        breathe()
        return self.record(key, quiet=True) is not None

    # -- writing ---------------------------------------------------------------------------------------------

    def event(self, class_: int, name: bytes, key: bytes) -> None:
        """Tell subscribers of keyspace events (events.py) that `name` happened to `key` of the present database, if
        this command goes through."""
        if self.notify & class_:
            self.events.append((class_, name, self.db, key))

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
        effects[where] = record
        self._keep(key, record)
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
        if self.notify & TRACKED:
            self.events.append((TRACKED, self.origin, self.db, key))
        record = HEADER.pack(collection.type, encoding, self.revision, 0) + payload
        effects[where] = collection.record = record
        self._keep(key, record)

    def put_strings(self, keys: list[bytes], values: list[bytes]) -> None:
        """`put` of plain strings that do not expire, many at once; while nobody listens to events."""
        assert not self.notify
        effects = self.effects
        header = HEADER.pack(STRING, 0, self.revision, 0)
        added = 0
        for key, where, value in paced(
            zip(keys, head_keys(self._space, paced(iter(keys))), values, strict=True)
        ):
            old = self._take(key, where)
            if old is None:
                added += 1
            elif old[1] & ATTACHED:
                self.put(key, STRING, value)
                continue
            effects[where] = record = header + value
            self._keep(key, record)
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
        self._cache.drop(key)
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

    def _take(self, key: bytes, where: bytes) -> bytes | None:
        """The raw record of a key that is about to change, past its time or not."""
        effects = self.effects
        if where in effects:
            return effects[where]
        self._replies.pop(key, None)
        if self._parts:
            self._parts.pop(key, None)
        record = self._cache.peek(key)
        return self._base.get(where) if record is None and where != self._absent else record

    def _keep(self, key: bytes, record: bytes) -> None:
        """`record` is the newest of `key`, written by this command."""
        if len(self.effects) <= kept_max:
            self._cache.put(key, record, self.now_ms)
        else:
            self._cache.pass_by(key)

    # -- for the executor ------------------------------------------------------------------------------------

    def take_effects(self) -> dict[bytes, bytes | None]:
        """The writes since the last take; the view is clean afterwards. Of Meta only what SWAPDB made
        of it, see `Ledger.changed`."""
        effects = self.effects
        self.effects = {}
        self._absent = b""
        self._order = None
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
            if record is not None and where[0] == HEAD and record[_REVISION_BYTES] == before:
                self._drop_cached((where,))
                dict.__setitem__(
                    effects, where, record[:REVISION_OFFSET] + after + record[_REVISION_BYTES.stop :]
                )
        self._deleted.restamp(old, revision)
