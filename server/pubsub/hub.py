"""Who listens to what on this node, and the delivery of messages and keyspace events to them.

Every node keeps the subscriptions of its own clients and no others. What is published goes to the local subscribers at
once and over the lane (lane.py) to every other node, which looks for subscribers of its own: a client may publish and
listen wherever it is connected, sharded channels included. As in Redis Cluster the count that PUBLISH answers is that
of the local subscribers. Delivery is at most once: whoever is not connected at that moment, client or node, misses it.

A message is encoded once for all its receivers; RESP3 differs from RESP2 in its first byte alone.

Keyspace events are made by the leader of a key's group when what made them is committed. A node wants the classes of
its own `notify-keyspace-events` and tells the others, so that an event is made if any node wants it, and each node
words it for its subscribers as its own setting says. Where nobody wants any, `view.notify` is 0 and nothing is made.
What clients that cache are told (tracking.py) goes the same way.

To add a kind of subscription: a number below, a row in commands/pubsub.py.
"""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

from resp import encode
from server.keyspace.events import (
    ALL,
    FLUSHED,
    KEYEVENT,
    KEYSPACE,
    LETTERS,
    MONITORED,
    PUBLISHED,
    TRACKED,
    Event,
)
from server.pubsub.tracking import Tracking
from server.session import Guard, Session
from server.types.glob import Matcher, compile_glob

CHANNEL, PATTERN, SHARD = 0, 1, 2
"""Kinds of subscriptions; the index in `Session.subscriptions`."""
_SWITCHES = KEYSPACE | KEYEVENT
_CHANGES = TRACKED | FLUSHED
Subscribers: TypeAlias = dict[Session, None]


class Outbound(Protocol):
    """The way to the other nodes."""

    def message(self, kind: int, channel: bytes, message: bytes) -> None:
        """Send a published message to every other node."""

    def events(self, events: list[Event]) -> None:
        """Send keyspace events to every other node."""

    def wants(self, classes: int) -> None:
        """Tell every other node which classes of events this one wants."""


def event_classes(setting: bytes) -> int:
    """The bits (keyspace/events.py) of a value of notify-keyspace-events; 0 when it names no class or no channel."""
    bits = 0
    for letter in setting.decode("latin-1"):
        bits |= ALL if letter == "A" else LETTERS[letter]
    return bits if bits & _SWITCHES and bits & ~_SWITCHES else 0


class Hub:
    """The subscriptions of one node."""

    def __init__(
        self, on_notify: Callable[[int], None] = lambda classes: None, tracking: Tracking | None = None
    ) -> None:
        """`on_notify`: told of the classes of events that some node wants, whenever they change; `tracking`: the
        clients that cache what they read."""
        self.subscribers: tuple[dict[bytes, Subscribers], ...] = ({}, {}, {})
        """By kind: name to the sessions that listen. Invariant: none is empty."""
        self.outbound: Outbound | None = None
        """None on a node that stands alone."""
        self.notify = 0
        """What this node's own setting says: classes, KEYSPACE and KEYEVENT."""
        self.on_monitored: Callable[[int, bytes], None] = lambda db, words: None
        """Told of the database and the words of each command of a script, while somebody MONITORs."""
        self._matchers: dict[bytes, Matcher] = {}
        """Of every pattern in `subscribers`."""
        self.tracking = tracking or Tracking({})
        self.tracking.on_wanted = self._own_changed
        self._own = 0
        self._wanted = 0
        self._wanted_elsewhere = 0
        self._on_notify = on_notify

    # -- subscriptions ---------------------------------------------------------------------------------------

    def subscribe(self, kind: int, session: Session, name: bytes, matcher: Matcher | None = None) -> int:
        """Let `session` listen to `name`. Returns how many subscriptions it has, as its reply counts them. `matcher`:
        the pattern `name`, compiled, if the caller has it.

        Raises CommandError for a pattern that is too long.
        """
        table = self.subscribers[kind]
        if name not in table:
            if kind == PATTERN:
                self._matchers[name] = matcher or compile_glob(name)
            table[name] = {}
        if session.subscriptions is None:
            session.subscriptions = ({}, {}, {})
            session.guard(Guard.SUBSCRIBED, True)
        table[name][session] = None
        session.subscriptions[kind][name] = None
        return subscription_count(session, kind)

    def unsubscribe(self, kind: int, session: Session, name: bytes) -> int:
        """Let `session` listen to `name` no more, if it did. Returns how many subscriptions are left."""
        names = session.subscriptions
        if names is not None and name in names[kind]:
            del names[kind][name]
            self._remove(kind, session, name)
            if not any(names):
                session.subscriptions = None
                session.guard(Guard.SUBSCRIBED, False)
        return subscription_count(session, kind)

    def forget(self, session: Session) -> None:
        """The session ends or begins anew: it listens to nothing."""
        if session.subscriptions is None:
            return
        for kind, names in enumerate(session.subscriptions):
            for name in names:
                self._remove(kind, session, name)
        session.subscriptions = None
        session.guard(Guard.SUBSCRIBED, False)

    def _remove(self, kind: int, session: Session, name: bytes) -> None:
        table = self.subscribers[kind]
        subscribers = table[name]
        del subscribers[session]
        if not subscribers:
            del table[name]
            if kind == PATTERN:
                del self._matchers[name]

    # -- messages --------------------------------------------------------------------------------------------

    def publish(
        self, kind: int, channel: bytes, message: bytes, publisher: Session | None = None
    ) -> tuple[int, bytes]:
        """Deliver `message` to those who listen to `channel` (of `kind` CHANNEL or SHARD), here and elsewhere.

        Returns how many listen here, and what `publisher` itself, if it listens, is to be sent behind its reply.
        """
        if self.outbound is not None:
            self.outbound.message(kind, channel, message)
        return self.deliver(kind, channel, message, publisher)

    def deliver(
        self, kind: int, channel: bytes, message: bytes, publisher: Session | None = None
    ) -> tuple[int, bytes]:
        """As `publish`, on this node alone."""
        count = 0
        own = b""
        subscribers = self.subscribers[kind].get(channel)
        if subscribers is not None:
            word = b"smessage" if kind == SHARD else b"message"
            count = len(subscribers)
            own = _send(list(subscribers), [word, channel, message], publisher)
        if kind == CHANNEL and self._matchers:
            # Sending may close a connection, which then leaves these tables: walk copies.
            for pattern, matches in list(self._matchers.items()):
                if matches(channel) and (listeners := self.subscribers[PATTERN].get(pattern)) is not None:
                    count += len(listeners)
                    own += _send(list(listeners), [b"pmessage", pattern, channel, message], publisher)
        return count, own

    def count(self, kind: int, channel: bytes) -> int:
        """How many clients of this node would get a message to `channel` (of `kind` CHANNEL or SHARD)."""
        count = len(self.subscribers[kind].get(channel, ()))
        if kind == CHANNEL:
            for pattern, matches in self._matchers.items():
                if matches(channel):
                    count += len(self.subscribers[PATTERN].get(pattern, ()))
        return count

    # -- keyspace events -------------------------------------------------------------------------------------

    def configure(self, setting: bytes) -> None:
        """notify-keyspace-events has a new value."""
        notify = event_classes(setting)
        if notify != self.notify:
            self.notify = notify
            self._own_changed()

    def _own_changed(self) -> None:
        own = self.notify & ~_SWITCHES | (_CHANGES if self.tracking.wanted else 0)
        if own != self._own:
            if (own ^ self._own) & _CHANGES:
                self.tracking.start_over()
            self._own = own
            if self.outbound is not None:
                self.outbound.wants(own)
            self._update()

    def wanted_elsewhere(self, classes: int) -> None:
        """The other nodes want these classes, all together."""
        self._wanted_elsewhere = classes
        self._update()

    def _update(self) -> None:
        wanted = self._own | self._wanted_elsewhere
        if wanted != self._wanted:
            self._wanted = wanted
            self._on_notify(wanted)

    def happened(self, events: list[Event]) -> None:
        """Events of a group that is led here: what made them is committed."""
        elsewhere = []
        for event in events:
            if event[0] == PUBLISHED:
                self.publish(event[2], event[3], event[1])
            elif event[0] == MONITORED:
                self.on_monitored(event[2], event[1])
            elif event[0] & self._wanted_elsewhere:
                elsewhere.append(event)
        if elsewhere and self.outbound is not None:
            self.outbound.events(elsewhere)
        self.tell(events)

    def tell(self, events: Iterable[Event]) -> None:
        """Deliver those events that this node wants to its subscribers."""
        if self._own & _CHANGES:
            self.tracking.happened(events)
        notify = self.notify
        if not notify or not (self.subscribers[CHANNEL] or self._matchers):
            return
        for class_, name, db, key in events:
            if class_ & notify:
                if notify & KEYSPACE:
                    self.deliver(CHANNEL, b"__keyspace@%d__:%b" % (db, key), name)
                if notify & KEYEVENT:
                    self.deliver(CHANNEL, b"__keyevent@%d__:%b" % (db, name), key)


def subscription_count(session: Session, kind: int) -> int:
    """How many subscriptions the session has, as replies count them: channels and patterns together, sharded channels
    by themselves."""
    names = session.subscriptions
    if names is None:
        return 0
    return len(names[SHARD]) if kind == SHARD else len(names[CHANNEL]) + len(names[PATTERN])


def _send(receivers: list[Session], parts: list[bytes], publisher: Session | None) -> bytes:
    """Send a message to all but the publisher; returns the publisher's."""
    own = b""
    array = encode(parts, 2)
    push = b">" + array[1:]
    for session in receivers:
        data = push if session.protocol == 3 else array
        if session is publisher:
            own = data
        else:
            session.outlet.send(data)
    return own
