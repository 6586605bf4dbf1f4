"""Who is told what of the keys that clients cache: the claims at the head of server/pubsub/tracking.py, one by one."""

from typing import NoReturn

import pytest
import trio

from resp import encode
from resp.values import Push
from server.commands import tracking as commands
from server.errors import CommandError
from server.keyspace.events import FLUSHED, TRACKED, Event
from server.pubsub.hub import CHANNEL, Hub
from server.pubsub.tracking import Tracking
from server.session import Guard, Session, Tracker
from tests.server.harness import Group
from tests.server.service_node import FakeOutlet, ServiceNode

FORGET_ALL = encode(Push([b"invalidate", None]), 3)


def forget(*keys: bytes) -> bytes:
    return encode(Push([b"invalidate", list(keys)]), 3)


class Clients:
    """Sessions on one node, and what they are told."""

    def __init__(self) -> None:
        self.sessions: dict[int, Session] = {}
        self.tracking = Tracking(self.sessions)
        self.hub = Hub(tracking=self.tracking)

    def connect(self, protocol: int = 3, **options: object) -> Session:
        session = Session(len(self.sessions) + 1, FakeOutlet(), "127.0.0.1:1", "127.0.0.1:2", 0.0)
        session.protocol = protocol
        self.sessions[session.id] = session
        tracker = Tracker()
        for name, value in options.items():
            setattr(tracker, name, value)
        self.tracking.enable(session, tracker)
        return session

    def happens(self, *events: Event) -> None:
        """These are committed, and the turn ends."""
        self.hub.tell(list(events))
        self.end_turn()

    def end_turn(self) -> None:
        if self.tracking.busy:
            self.tracking.end_turn()

    def changes(self, *keys: bytes, origin: bytes = b"") -> None:
        self.happens(*((TRACKED, origin, 0, key) for key in keys))


def told(session: Session) -> list[bytes]:
    outlet = session.outlet
    assert isinstance(outlet, FakeOutlet)
    heard, outlet.pushed = outlet.pushed, []
    return heard


@pytest.fixture
def clients() -> Clients:
    return Clients()


def test_a_key_is_told_once_to_each_that_read_it(clients: Clients) -> None:
    first, second, third = clients.connect(), clients.connect(), clients.connect()
    clients.tracking.remember(first, [b"a", b"b"])
    clients.tracking.remember(second, [b"a"])
    clients.changes(b"a", b"a", b"c")
    assert (told(first), told(second), told(third)) == ([forget(b"a")], [forget(b"a")], [])
    clients.changes(b"a")
    assert told(first) == []
    assert clients.tracking.item_count == 1


def test_while_replies_are_due_a_key_stays_remembered(clients: Clients) -> None:
    """What is on its way may be older or newer than the change: the next one must be told, too."""
    session = clients.connect()
    clients.tracking.remember(session, [b"a"])
    session.outlet.replies_due = True  # type: ignore[misc]
    clients.changes(b"a")
    clients.happens((FLUSHED, b"", 0, b""))
    session.outlet.replies_due = False  # type: ignore[misc]
    clients.changes(b"a")
    clients.changes(b"a")
    assert told(session) == [forget(b"a"), FORGET_ALL, forget(b"a")]


def test_nothing_is_told_before_the_turn_ends(clients: Clients) -> None:
    """The reply of the read that was evaluated in this turn has to be there first."""
    session = clients.connect()
    clients.tracking.keys_max = 1
    clients.tracking.remember(session, [b"a", b"b"])
    clients.hub.tell([(TRACKED, b"", 0, b"b")])
    assert told(session) == []
    clients.end_turn()
    assert told(session) == [forget(b"b")]


def test_the_oldest_keys_leave_a_table_that_is_full(clients: Clients) -> None:
    session = clients.connect()
    clients.tracking.keys_max = 2
    clients.tracking.remember(session, [b"a", b"b", b"c", b"d"])
    clients.end_turn()
    assert told(session) == [forget(b"a"), forget(b"b")]
    assert list(clients.tracking.keys) == [b"c", b"d"]


def test_its_own_changes_are_not_told_and_stay_remembered(clients: Clients) -> None:
    session = clients.connect(noloop=True)
    clients.tracking.remember(session, [b"a"])
    clients.changes(b"a", origin=session.origin)
    assert told(session) == []
    clients.happens((TRACKED, session.origin, 0, b"a"), (TRACKED, b"", 0, b"a"))
    assert told(session) == [forget(b"a")]


def test_prefixes_are_told_without_reading_all_keys_of_a_turn_at_once(clients: Clients) -> None:
    session = clients.connect(bcast=True, prefixes=[b"x", b"y"])
    everything = clients.connect(bcast=True, prefixes=[b""], noloop=True)
    clients.happens((TRACKED, b"", 0, b"x1"), (TRACKED, everything.origin, 0, b"x2"), (TRACKED, b"", 3, b"z"))
    assert told(session) == [forget(b"x1", b"x2")]
    assert told(everything) == [forget(b"x1", b"z")]
    assert session.guards == 0
    assert everything.guards == Guard.TRACKING


class Unwalked(dict[bytes, dict[Session, None]]):
    """Prefixes that may be looked up, but not all of them in turn."""

    def items(self) -> NoReturn:
        raise AssertionError("every prefix is looked at")


def test_of_many_prefixes_only_those_of_the_changed_keys_are_looked_at(clients: Clients) -> None:
    session = clients.connect(bcast=True, prefixes=[b"p%d:" % number for number in range(5000)])
    other = clients.connect(bcast=True, prefixes=[b"", b"p7:x1"])
    clients.tracking.prefixes = Unwalked(clients.tracking.prefixes)
    clients.changes(b"p77:x", b"p7:x1", b"p", b"q:")
    assert told(session) == [forget(b"p77:x"), forget(b"p7:x1")]
    assert told(other) == [forget(b"p77:x", b"p7:x1", b"p", b"q:"), forget(b"p7:x1")]
    clients.tracking.disable(session)
    clients.changes(b"p7:x")
    assert (told(session), told(other)) == ([], [forget(b"p7:x")])


def test_many_prefixes_are_not_compared_one_with_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    tracker, session = Tracker(), Clients().connect(bcast=True, prefixes=[b"old"])
    tracker.bcast = True
    tracker.prefixes = [b"p%d:" % number for number in range(5000)]
    with monkeypatch.context() as patch:
        patch.delattr(commands, "_check_overlap")
        commands._check(session, tracker)
    for more, named in ((b"ol", "an existing prefix 'old'"), (b"p7:x", "another provided prefix 'p7:x'")):
        tracker.prefixes[9:9] = [more]
        with pytest.raises(CommandError, match=named):
            commands._check(session, tracker)
        tracker.prefixes.remove(more)


def test_resp2_is_told_where_it_listens(clients: Clients) -> None:
    listener = clients.connect(2)
    clients.tracking.disable(listener)
    reader = clients.connect(2, redirect=listener.id)
    for keys in (1, 2):
        clients.tracking.remember(reader, [b"a"])
        clients.changes(b"a")
        assert told(listener) == (
            [] if keys == 1 else [encode([b"message", b"__redis__:invalidate", [b"a"]], 2)]
        )
        clients.hub.subscribe(CHANNEL, listener, b"__redis__:invalidate")
    clients.happens((FLUSHED, b"", 0, b""))
    assert told(listener) == [encode([b"message", b"__redis__:invalidate", None], 2)]
    assert told(reader) == []


def test_a_redirection_to_nobody_is_told(clients: Clients) -> None:
    reader = clients.connect(3, redirect=99)
    clients.tracking.remember(reader, [b"a"])
    clients.changes(b"a")
    assert told(reader) == [encode(Push([b"tracking-redir-broken", 99]), 3)]
    assert reader.tracking is not None
    assert reader.tracking.broken


def test_who_left_is_told_nothing(clients: Clients) -> None:
    session, other = clients.connect(), clients.connect()
    clients.tracking.remember(session, [b"a"])
    clients.tracking.disable(session)
    del clients.sessions[session.id]
    clients.changes(b"a")
    clients.happens((FLUSHED, b"", 0, b""))
    assert told(session) == []
    assert told(other) == [FORGET_ALL]
    clients.tracking.disable(other)
    assert not clients.tracking.wanted
    assert not clients.tracking.keys


class Outbound:
    def __init__(self) -> None:
        self.wanted: list[int] = []

    def message(self, kind: int, channel: bytes, message: bytes) -> None: ...

    def events(self, events: list[Event]) -> None: ...

    def wants(self, classes: int) -> None:
        self.wanted.append(classes)


async def test_tracking_begins_when_every_node_that_may_answer_has_acknowledged(
    clients: Clients, autojump_clock: trio.testing.MockClock
) -> None:
    others = clients.hub.outbound = Outbound()
    tracking = clients.tracking
    tracking.unacknowledged = lambda nodes: not {2, 3} <= nodes
    session = clients.connect()
    tracking.disable(session)
    others.wanted.clear()
    tracking.acknowledged(2)  # of something else: nothing is wanted now
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tracking.enable_when_acknowledged, session, Tracker())
        await trio.sleep(0.1)
        assert others.wanted == [TRACKED | FLUSHED]
        tracking.acknowledged(2)
        clients.end_turn()
        await trio.sleep(0.1)
        assert session.tracking is None
        tracking.acknowledged(3)
        clients.end_turn()
    assert session.tracking is not None
    assert not tracking.must_wait
    assert told(session) == []
    tracking.disable(session)
    assert others.wanted == [TRACKED | FLUSHED, 0]
    assert tracking.must_wait


async def test_a_node_that_does_not_acknowledge_does_not_hold_it_up_for_ever(
    clients: Clients, autojump_clock: trio.testing.MockClock
) -> None:
    """What is read is told right behind its reply then, until the node acknowledges."""
    tracking = clients.tracking
    tracking.unacknowledged = lambda nodes: 2 not in nodes
    session = clients.connect()
    await tracking.enable_when_acknowledged(session, Tracker())
    tracking.remember(session, [b"a"])
    clients.end_turn()
    assert told(session) == [forget(b"a")]
    tracking.acknowledged(2)
    clients.end_turn()
    tracking.remember(session, [b"a"])
    clients.end_turn()
    assert told(session) == [FORGET_ALL]
    tracking.lost(2)
    clients.end_turn()
    assert told(session) == [FORGET_ALL]


def test_the_view_tells_what_changed_and_by_whom() -> None:
    group = Group()
    group.view.notify = TRACKED | FLUSHED
    group.view.origin = b"1:7"
    changed = []
    for request in (
        "SET a 1",
        "GET a",
        "DEL nosuch",
        "RENAME a b",
        "SADD s m",
        "SADD s m",
        "EXPIRE b 9",
        "DEL b",
    ):
        group.run(*request.split())
        assert all(event[:2] == (TRACKED, b"1:7") for event in group.view.events)
        changed.append({event[3] for event in group.view.events})
        group.view.events.clear()
    assert changed == [{b"a"}, set(), set(), {b"a", b"b"}, {b"s"}, set(), {b"b"}, {b"b"}]
    group.begin().flush()
    group.view.swap(0, 1)
    assert [event[0] for event in group.view.events] == [FLUSHED, FLUSHED]


async def test_a_reset_ends_it() -> None:
    node = ServiceNode()
    await node.run("CLIENT", "TRACKING", "ON", "NOLOOP")
    assert node.session.origin == b"1:1"
    await node.run("RESET")
    assert (node.session.tracking, node.session.origin, node.session.guards) == (None, b"", 0)
