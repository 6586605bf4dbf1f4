"""The hub of one node: who is told what, how often it is encoded, and what is left when a client goes."""

from typing import Any

import pytest

from server.commands.context import Context
from server.commands.pubsub import psubscribe
from server.errors import CommandError
from server.keyspace.events import EXPIRED, GENERIC, KEYEVENT, KEYSPACE, PUBLISHED, STRING, Event
from server.pubsub import hub as hub_module
from server.pubsub.hub import CHANNEL, PATTERN, SHARD, Hub, event_classes
from server.session import Guard, Session
from tests.server.loop import turns_of_others
from tests.server.service_node import FakeOutlet, ServiceNode


class Closing(FakeOutlet):
    """A connection that is closed by the first message, as one whose buffer is full."""

    def __init__(self, hub: Hub) -> None:
        super().__init__()
        self.hub = hub
        self.session: Session

    def send(self, data: bytes) -> None:
        super().send(data)
        self.hub.forget(self.session)


class Others:
    """The way to the other nodes, remembered."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def message(self, kind: int, channel: bytes, message: bytes) -> None:
        self.sent.append((kind, channel, message))

    def events(self, events: list[Event]) -> None:
        self.sent.append(events)

    def wants(self, classes: int) -> None:
        self.sent.append(classes)


def client(protocol: int = 2) -> Session:
    session = Session(1, FakeOutlet(), "127.0.0.1:1", "127.0.0.1:2", 0.0)
    session.protocol = protocol
    return session


def told(session: Session) -> list[bytes]:
    outlet = session.outlet
    assert isinstance(outlet, FakeOutlet)
    return outlet.pushed


def test_a_message_is_encoded_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub()
    listeners = [client(2 + number % 2) for number in range(1000)]
    for session in listeners:
        hub.subscribe(CHANNEL, session, b"c")
    encoded = []

    def encode(value: Any, protocol: int) -> bytes:
        encoded.append(value)
        return b"*3\r\n..."

    monkeypatch.setattr(hub_module, "encode", encode)
    assert hub.publish(CHANNEL, b"c", b"x") == (1000, b"")
    assert encoded == [[b"message", b"c", b"x"]]
    assert told(listeners[0]) == [b"*3\r\n..."]
    assert told(listeners[1]) == [b">3\r\n..."]


def test_the_publisher_gets_its_own_message_to_send_it_behind_its_reply() -> None:
    hub = Hub()
    session = client(3)
    hub.subscribe(CHANNEL, session, b"c")
    hub.subscribe(PATTERN, session, b"*")
    count, own = hub.publish(CHANNEL, b"c", b"x", session)
    assert count == 2
    assert own.startswith(b">3\r\n$7\r\nmessage")
    assert b">4\r\n$8\r\npmessage" in own
    assert told(session) == []


def test_subscriptions_are_counted_and_forgotten() -> None:
    hub = Hub()
    session = client()
    assert [hub.subscribe(CHANNEL, session, name) for name in (b"a", b"b", b"a")] == [1, 2, 2]
    assert hub.subscribe(PATTERN, session, b"*") == 3
    assert hub.subscribe(SHARD, session, b"a") == 1
    assert session.guards & Guard.SUBSCRIBED
    assert hub.unsubscribe(CHANNEL, session, b"a") == 2
    assert hub.unsubscribe(CHANNEL, session, b"nosuch") == 2
    hub.forget(session)
    assert hub.subscribers == ({}, {}, {})
    assert session.subscriptions is None
    assert not session.guards
    assert hub.publish(CHANNEL, b"b", b"x") == (0, b"")


def test_the_last_unsubscribe_makes_the_session_plain_again() -> None:
    hub = Hub()
    session = client()
    hub.subscribe(SHARD, session, b"a")
    assert hub.unsubscribe(SHARD, session, b"a") == 0
    assert session.subscriptions is None
    assert not session.guards


def test_connections_that_close_while_they_are_told_disturb_nobody() -> None:
    hub = Hub()
    sessions = []
    for _ in range(5):
        outlet = Closing(hub)
        session = outlet.session = Session(1, outlet, "", "", 0.0)
        hub.subscribe(CHANNEL, session, b"c")
        hub.subscribe(PATTERN, session, b"c*")
        sessions.append(session)
    hub.publish(CHANNEL, b"c", b"x")
    assert [len(told(session)) for session in sessions] == [1] * 5
    assert hub.subscribers == ({}, {}, {})


def test_a_pattern_that_is_too_long_is_refused() -> None:
    hub = Hub()
    session = client()
    with pytest.raises(CommandError):
        hub.subscribe(PATTERN, session, b"x" * 10_000)
    assert hub.subscribers == ({}, {}, {})
    assert session.subscriptions is None


def test_classes_without_a_channel_to_tell_them_on_are_none() -> None:
    assert event_classes(b"") == 0
    assert event_classes(b"A") == 0
    assert event_classes(b"KE") == 0
    assert event_classes(b"Kg") == KEYSPACE | GENERIC


def test_events_are_made_if_any_node_wants_them() -> None:
    wanted: list[int] = []
    hub = Hub(wanted.append)
    hub.outbound = others = Others()
    hub.configure(b"E$")
    hub.wanted_elsewhere(GENERIC)
    hub.configure(b"")
    assert wanted == [STRING, STRING | GENERIC, GENERIC]
    assert others.sent == [STRING, 0]


def test_each_node_tells_what_its_own_setting_says() -> None:
    hub = Hub()
    hub.outbound = others = Others()
    session = client()
    hub.subscribe(PATTERN, session, b"*")
    hub.configure(b"E$")
    hub.wanted_elsewhere(GENERIC | EXPIRED)
    others.sent.clear()
    hub.happened([(STRING, b"set", 3, b"k"), (GENERIC, b"del", 3, b"k")])
    assert others.sent == [[(GENERIC, b"del", 3, b"k")]]
    (message,) = told(session)
    assert b"__keyevent@3__:set" in message
    hub.configure(b"KEA")
    hub.tell([(GENERIC, b"del", 0, b"k")])
    assert [b"__keyspace@0__:k" in message for message in told(session)[1:]] == [True, False]
    assert event_classes(b"KEA") & KEYEVENT


def test_what_a_script_publishes_goes_to_everybody_whatever_the_setting() -> None:
    hub = Hub()
    hub.outbound = others = Others()
    session = client()
    hub.subscribe(CHANNEL, session, b"c")
    hub.happened([(PUBLISHED, b"hello", 0, b"c")])
    assert len(told(session)) == 1
    assert others.sent == [(CHANNEL, b"c", b"hello")]


async def test_the_loop_goes_on_while_many_patterns_are_compiled() -> None:
    node = ServiceNode()
    session = node.connect()
    async with turns_of_others() as turns:
        reply = psubscribe(
            Context(node, session), [b"psubscribe", *(b"*a?%d" % number for number in range(1000))]
        )
        assert node.pubsub.count(CHANNEL, b"xab7") == 0, "all or none"
        assert b"*a?999" in (await reply).value
    assert turns.count >= 10
    assert node.pubsub.count(CHANNEL, b"xab7") == 1
