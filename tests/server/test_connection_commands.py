"""HELLO, AUTH, RESET, QUIT and CLIENT: what they do to sessions."""

from typing import Any

import pytest

from resp.values import OK, Error, Raw, Simple
from server.access.rules import User
from server.session import ReplyMode, Session
from tests.server.service_node import FakeOutlet, ServiceNode


@pytest.fixture
def node() -> ServiceNode:
    return ServiceNode()


def closed(session: Session) -> str:
    outlet = session.outlet
    assert isinstance(outlet, FakeOutlet)
    return outlet.closed


def mode(node: ServiceNode) -> ReplyMode:
    return node.session.reply_mode


async def listed(node: ServiceNode, *filters: str) -> list[int]:
    """The ids that CLIENT LIST shows."""
    text = await node.text("CLIENT", "LIST", *filters)
    return [int(line.split(" ", 1)[0].removeprefix("id=")) for line in text.splitlines()]


async def test_hello_changes_the_protocol_and_says_who_is_there(node: ServiceNode) -> None:
    reply = await node.run("HELLO", "3", "SETNAME", "someone")
    assert (reply[b"server"], reply[b"version"], reply[b"proto"], reply[b"id"]) == (
        b"redraft",
        b"7.2.4",
        3,
        1,
    )
    assert (reply[b"mode"], reply[b"role"]) == (b"standalone", b"master")
    assert (node.session.protocol, node.session.name) == (3, b"someone")
    assert (await ServiceNode(nodes=3).run("HELLO"))[b"mode"] == b"cluster"


async def test_a_hello_that_fails_changes_nothing(node: ServiceNode) -> None:
    for request in (["3", "SETNAME", "a b"], ["3", "NOSUCH"], ["3", "SETNAME", "x", "AUTH", "nobody", "y"]):
        assert isinstance(await node.run("HELLO", *request), Error)
    assert (node.session.protocol, node.session.name) == (2, b"")


async def test_hello_can_log_in(node: ServiceNode) -> None:
    node.users.stored(b"default", User.default(b"secret").describe())
    node.session.authenticated = False
    reply = await node.run("HELLO", "3")
    assert reply.code == b"NOAUTH"
    assert (await node.run("HELLO", "3", "AUTH", "default", "wrong")).code == b"WRONGPASS"
    assert not node.session.authenticated
    assert (await node.run("HELLO", "3", "AUTH", "default", "secret"))[b"proto"] == 3
    assert node.session.authenticated


async def test_auth_knows_one_user(node: ServiceNode) -> None:
    node.users.stored(b"default", User.default(b"secret").describe())
    node.session.authenticated = False
    for request in (["wrong"], ["default", "wrong"], ["nobody", "secret"], [""]):
        assert (await node.run("AUTH", *request)).code == b"WRONGPASS"
    assert not node.session.authenticated
    assert await node.run("AUTH", "secret") == OK
    assert node.session.authenticated


async def test_select_changes_the_database(node: ServiceNode) -> None:
    assert await node.run("SELECT", "15") == OK
    assert await node.run("SELECT", "16") == Error(b"ERR DB index is out of range")
    assert node.session.db == 15


async def test_quit_closes_behind_its_reply(node: ServiceNode) -> None:
    assert await node.run("QUIT") == OK
    assert closed(node.session) == "after reply"


NOT_RESET = {"id", "outlet", "connected_at_s", "last_active_s"}
"""Which connection it is stays as it is."""


async def test_reset_is_a_new_beginning(node: ServiceNode) -> None:
    node.users.stored(b"default", User.default(b"secret").describe())
    session = node.session
    session.db, session.protocol, session.name, session.readonly = 5, 3, b"someone", True
    session.queue, session.watched, session.no_touch, session.no_evict = [], {}, True, True
    session.reply_mode = ReplyMode.OFF
    assert await node.run("RESET") == Simple(b"RESET")
    fresh = node.connect()
    fresh.authenticated = False
    for field in Session.__slots__:
        if field in NOT_RESET:
            continue
        assert getattr(session, field) == getattr(fresh, field), field


async def test_client_list_shows_what_is_known_of_each(node: ServiceNode) -> None:
    node.session.name, node.session.library_name = b"someone", b"library"
    other = node.connect("127.0.0.1:5001")
    other.db, other.queue, other.last_command = 3, [], "multi"
    other.outlet.output_bytes = 77  # type: ignore[misc]
    first, second = (await node.text("CLIENT", "LIST")).splitlines()
    assert first.startswith(
        "id=1 addr=127.0.0.1:5000 laddr=127.0.0.1:7001 fd=-1 name=someone age=0 idle=0 flags=N"
    )
    assert "lib-name=library" in first
    for field in ("id=2", "db=3", "multi=0", "flags=x", "cmd=multi", "omem=77", "resp=2"):
        assert f"{field} " in second


async def test_filters_of_client_list(node: ServiceNode) -> None:
    second, third = node.connect("10.0.0.1:7"), node.connect("10.0.0.1:8")
    second.name, third.db, third.library_name = b"second", 3, b"library"
    second.connected_at_s -= 100
    third.last_active_s -= 50
    second.readonly = True
    expected: dict[tuple[str, ...], list[int]] = {
        (): [1, 2, 3],
        ("ID", "1", "3", "99"): [1, 3],
        ("NOT-ID", "1", "3"): [2],
        ("ID", "1", "2", "NAME", "second"): [2],
        ("TYPE", "normal"): [1, 2, 3],
        ("TYPE", "pubsub"): [],
        ("NOT-TYPE", "replica"): [1, 2, 3],
        ("ADDR", "10.0.0.1:8"): [3],
        ("NOT-ADDR", "10.0.0.1:8"): [1, 2],
        ("LADDR", "127.0.0.1:7001"): [1, 2, 3],
        ("IP", "10.0.0.1"): [2, 3],
        ("MAXAGE", "50"): [2],
        ("IDLE", "50"): [3],
        ("FLAGS", "r"): [2],
        ("NOT-FLAGS", "N"): [2],
        ("FLAGS", ""): [1, 2, 3],
        ("DB", "3"): [3],
        ("LIB-NAME", "library"): [3],
        ("NOT-LIB-VER", ""): [],
        ("USER", "default", "SKIPME", "yes"): [2, 3],
    }
    for filters, identities in expected.items():
        assert await listed(node, *filters) == identities, filters


async def test_client_kill_spares_who_asks_unless_told_otherwise(node: ServiceNode) -> None:
    second = node.connect("10.0.0.1:7")
    assert await node.run("CLIENT", "KILL", "USER", "default") == 1
    assert (closed(node.session), closed(second)) == ("", "now")
    assert await node.run("CLIENT", "KILL", "ID", "1", "SKIPME", "no") == 1
    assert closed(node.session) == "after reply"


async def test_client_kill_in_its_old_form_takes_an_address(node: ServiceNode) -> None:
    second = node.connect("10.0.0.1:7")
    assert await node.run("CLIENT", "KILL", "10.0.0.1:8") == Error(b"ERR No such client")
    assert await node.run("CLIENT", "KILL", "10.0.0.1:7") == OK
    assert closed(second) == "now"


async def test_client_reply_silences(node: ServiceNode) -> None:
    silent = Raw(b"")
    assert await node.run("CLIENT", "REPLY", "SKIP") == silent
    assert mode(node) == ReplyMode.SKIP_NEXT
    assert await node.run("CLIENT", "REPLY", "OFF") == silent
    assert await node.run("CLIENT", "REPLY", "SKIP") == silent
    assert mode(node) == ReplyMode.OFF
    assert await node.run("CLIENT", "REPLY", "ON") == OK
    assert mode(node) == ReplyMode.ON


async def test_client_pause_and_unpause_reach_the_node(node: ServiceNode) -> None:
    assert await node.run("CLIENT", "PAUSE", "1000", "WRITE") == OK
    until_ms, writes_only = node.pause
    assert until_ms > 1_700_000_000_000
    assert writes_only
    assert await node.run("CLIENT", "UNPAUSE") == OK
    assert node.pause == (0, False)


async def test_client_unblock_says_whether_it_did(node: ServiceNode) -> None:
    assert await node.run("CLIENT", "UNBLOCK", "2") == 1
    assert await node.run("CLIENT", "UNBLOCK", "3", "ERROR") == 0
    assert node.events == ["unblock 2 timeout", "unblock 3 error"]


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (["NO-EVICT", "on"], OK),
        (["NO-TOUCH", "on"], OK),
        (["TRACKING", "off"], OK),
        (["CAPA", "redirect"], OK),
        (["GETREDIR"], -1),
        (["ID"], 1),
        (["GETNAME"], None),
        (["TRACKINGINFO"], {b"flags": {b"off"}, b"redirect": -1, b"prefixes": []}),
    ],
)
async def test_small_ones(node: ServiceNode, request_: list[str], reply: Any) -> None:
    assert await node.run("CLIENT", *request_) == reply
