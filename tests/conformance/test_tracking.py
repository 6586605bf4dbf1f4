"""Client-side caching, to a real Valkey and to Redraft: everything that each client is sent is the same.

As in test_pubsub.py, two or three clients; what nobody asked for is read up to a PING of the client's own. Between two
steps of different clients that PING waits for everything on its way; in a cluster what is told may come a moment later,
and once more than it must, so that there other claims hold (tests/clients/test_tracking.py).
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from tests.conformance.harness.servers import HOST, Server, flush
from tests.conformance.harness.wire import Connection, Reply, encode


class Story(NamedTuple):
    """What the clients say: `a` and `b` speak RESP3, `c` and `d` RESP2. `;` divides what is sent in one piece."""

    name: str
    steps: Sequence[str]


def told(connection: Connection, word: str) -> list[Reply]:
    """All that comes before the answer to a PING."""
    connection.send(encode(["PING", word]))
    found = []
    while True:
        reply = connection.read()
        if reply in (Reply("$", word.encode()), Reply("*", [Reply("$", b"pong"), Reply("$", word.encode())])):
            return found
        found.append(reply)


LONG = "for--[[]]i=1,3e6--[[]]do--[[]]end"
"""A script without a blank in it."""
STORIES = [
    Story(
        "what was read is told once when it changes",
        (
            *("a CLIENT TRACKING ON", "a GET k", "a MGET k l m", "a STRLEN nosuch"),
            *(
                "c SET k 1",
                "c SET k 2",
                "c DEL l",
                "c INCR n",
                "a GET k",
                "c EXPIRE k 100",
                "c SADD nosuch x",
            ),
            *(
                "a TTL k",
                "c PERSIST k",
                "c PERSIST k",
                "a SMEMBERS nosuch",
                "c SREM nosuch y",
                "c SREM nosuch x",
            ),
        ),
    ),
    Story(
        "other databases have the same keys",
        ("a CLIENT TRACKING ON", "a GET k", "c SELECT 3", "c SET k 1", "a GET k", "c FLUSHDB", "c SELECT 0"),
    ),
    Story(
        "flushing is told to all",
        ("a CLIENT TRACKING ON", "b CLIENT TRACKING ON", "c FLUSHALL", "a GET k", "c FLUSHALL"),
    ),
    Story(
        "its own changes, and NOLOOP",
        (
            *(
                "a CLIENT TRACKING ON",
                "a GET k",
                "a SET k 1",
                "a GET k",
                "a MSET k 1 l 2",
                "a CLIENT TRACKING OFF",
            ),
            *("a CLIENT TRACKING ON NOLOOP", "a GET k", "a SET k 2", "a GET k", "c SET k 3", "a GET k"),
            *(
                "a DEL k",
                "a GET l",
                "a MULTI ; SET l 1 ; EXEC",
                "a GET l",
                "a APPEND l x",
                "a GET l",
                "c DEL l",
            ),
        ),
    ),
    Story(
        "OPTIN remembers what follows CACHING YES",
        (
            *("a CLIENT TRACKING ON OPTIN", "a GET k", "c SET k 1", "a CLIENT CACHING YES ; GET k"),
            *("c SET k 2", "a CLIENT CACHING YES ; PING ; GET k", "c SET k 3", "a CLIENT CACHING NO"),
            *(
                "a CLIENT CACHING YES ; MULTI ; GET k ; GET l ; EXEC ; GET m",
                "c SET k 4",
                "c SET l 4",
                "c SET m 4",
            ),
            *("a CLIENT CACHING YES ; CLIENT TRACKINGINFO ; GET m", "c SET m 1", "a CLIENT TRACKINGINFO"),
        ),
    ),
    Story(
        "OPTOUT forgets what follows CACHING NO",
        (
            *("a CLIENT TRACKING ON OPTOUT", "a GET k", "c SET k 1", "a CLIENT CACHING NO ; GET k"),
            *(
                "c SET k 2",
                "a GET k",
                "c SET k 3",
                "a CLIENT CACHING YES",
                "a CLIENT CACHING NO ; CLIENT TRACKINGINFO",
            ),
        ),
    ),
    Story(
        "BCAST needs no reading",
        (
            *(
                "a CLIENT TRACKING ON BCAST PREFIX x PREFIX y",
                "b CLIENT TRACKING ON BCAST",
                "a GET x1",
                "c SET x1 1",
            ),
            *(
                "c SET y 1",
                "c SET z 1",
                "c SET x2 1",
                "c DEL x1",
                "a SET x3 1",
                "c FLUSHALL",
                "a CLIENT TRACKING OFF",
            ),
            *(
                "a CLIENT TRACKING ON BCAST PREFIX x NOLOOP",
                "a SET x4 1",
                "c SET x4 2",
                "a CLIENT TRACKINGINFO",
            ),
            *("b CLIENT TRACKING OFF", "c SET x5 1"),
        ),
    ),
    Story(
        "RESP2 clients are told in another connection",
        (
            *(
                "d SUBSCRIBE __redis__:invalidate",
                "c CLIENT TRACKING ON REDIRECT {d}",
                "c GET k",
                "b SET k 1",
                "c GET k",
            ),
            *(
                "b FLUSHALL",
                "c CLIENT TRACKING OFF",
                "c CLIENT TRACKING ON BCAST REDIRECT {d} PREFIX p",
                "b SET p1 1",
            ),
            *(
                "c CLIENT GETREDIR",
                "d UNSUBSCRIBE",
                "b SET p1 2",
                "c CLIENT TRACKING OFF",
                "c CLIENT GETREDIR",
            ),
        ),
    ),
    Story(
        "a RESP3 client is told in another RESP3 connection",
        (
            "a CLIENT TRACKING ON REDIRECT {b}",
            "a GET k",
            "c SET k 1",
            "a GET k",
            "c FLUSHALL",
            "a CLIENT TRACKINGINFO",
        ),
    ),
    Story(
        "without RESP3 and redirection nobody is told",
        ("c CLIENT TRACKING ON", "c GET k", "a SET k 1", "c GET k", "a FLUSHALL"),
    ),
    Story(
        "scripts and transactions read, too",
        (
            *(
                "a CLIENT TRACKING ON",
                "a MULTI ; GET k ; EXEC",
                "c SET k 1",
                "a MULTI ; GET k ; DISCARD",
                "c SET k 2",
            ),
            *("c MULTI ; SET k 3 ; SET l 3 ; EXEC", "a GET k", "a GET l", "a EXISTS k l"),
            *("c EVAL return(redis.call('set',KEYS[1],1)) 1 k", "c RENAME l m", "a GET m", "c GETDEL m"),
        ),
    ),
    Story(
        "a transaction that reads what it wrote",
        (
            *("a CLIENT TRACKING ON", "a MULTI ; SET k 1 ; GET k ; EXEC", "c SET k 2"),
            *(
                "a MULTI ; GET k ; SET k 3 ; EXEC",
                "c SET k 4",
                "a MULTI ; SET k 5 ; GET k ; SET k 6 ; EXEC",
                "c SET k 7",
            ),
            *("a MULTI ; MSET k 1 l 1 ; PEXPIRE l 100000 ; GET l ; EXEC", "a DEL k", "c DEL l"),
        ),
    ),
    Story(
        "a script's keys, if it reads",
        (
            *(
                "a CLIENT TRACKING ON",
                "c MSET k 1 l 1",
                "a EVAL redis.call('set',KEYS[1],'x') 2 k l",
                "c MSET k 2 l 2",
            ),
            *(
                "a EVAL redis.call('get',KEYS[1]) 1 k",
                "c MSET k 3 l 3",
                "a EVAL_RO redis.call('get',KEYS[1]) 1 k",
            ),
            *(
                "c MSET k 4 l 4",
                "a EVAL redis.call('get','m') 0",
                "c SET m 1",
                "a GET k",
                "a EVAL return(1) 1 k",
            ),
            *("c SET k 5", "a EVAL_RO redis.call('ping') 2 k l", "c MSET k 6 l 6"),
        ),
    ),
    Story(
        "what scripts read that take long",
        (
            *("a CLIENT TRACKING ON", "c MSET k 1 l 2 m 3"),
            *(f"a EVAL {LONG};return(1) 1 k", "c SET k 2"),
            *(f"a EVAL {LONG};redis.call('get','m') 0", "c MSET k 3 m 4"),
            *(f"a EVAL {LONG};redis.call('set','m','x') 1 k ; GET k", "c SET k 4"),
            *("a CLIENT TRACKING OFF", "a CLIENT TRACKING ON NOLOOP", "a GET k"),
            *(f"a EVAL {LONG};redis.call('set','k','x') 1 k", "a GET k", "c SET k 5"),
        ),
    ),
    Story(
        "what is turned off is over",
        (
            *(
                "a CLIENT TRACKING ON",
                "a GET k",
                "a CLIENT TRACKING OFF",
                "c SET k 1",
                "a CLIENT TRACKING ON",
                "a GET k",
            ),
            *("a RESET", "c SET k 2", "a CLIENT TRACKINGINFO", "a CLIENT GETREDIR"),
        ),
    ),
    Story(
        "what makes no sense is refused",
        (
            *(
                f"a CLIENT TRACKING {rest}"
                for rest in ("x", "ON x", "ON REDIRECT 99999", "ON REDIRECT x", "ON REDIRECT")
            ),
            *(
                f"a CLIENT TRACKING ON {rest}"
                for rest in ("REDIRECT {b} REDIRECT {b}", "PREFIX a", "BCAST OPTIN", "BCAST PREFIX")
            ),
            *(
                f"a CLIENT TRACKING ON {rest}"
                for rest in ("OPTIN OPTOUT", "BCAST PREFIX a PREFIX ab", "BCAST PREFIX a PREFIX a")
            ),
            *(
                "a CLIENT TRACKING OFF x",
                "a CLIENT TRACKING OFF BCAST",
                "a CLIENT TRACKING ON REDIRECT 0",
                "a CLIENT CACHING YES",
            ),
            *(
                "a CLIENT TRACKING ON OPTIN",
                "a CLIENT TRACKING ON OPTOUT",
                "a CLIENT TRACKING ON BCAST",
                "a CLIENT CACHING x",
            ),
            *(
                "a CLIENT TRACKING OFF",
                "a CLIENT TRACKING ON BCAST PREFIX foo",
                "a CLIENT TRACKING ON BCAST PREFIX fo",
            ),
            *(
                "a CLIENT TRACKING ON BCAST PREFIX x",
                "a CLIENT TRACKING ON",
                "a CLIENT TRACKINGINFO",
                "a CLIENT CACHING NO",
            ),
        ),
    ),
]


def play(server: Server, story: Story) -> list[tuple[str, list[Reply]]]:
    """What every client was told at every step, but for ids."""
    flush(server)
    clients = {name: Connection(HOST, server.port, 3 if name in "ab" else 2) for name in "abcd"}
    try:
        ids = {name: client.ask("CLIENT", "ID").value for name, client in clients.items()}
        found = []
        for number, step in enumerate(story.steps):
            name, rest = step.format(**ids).split(" ", 1)
            clients[name].send(b"".join(encode(request.split()) for request in rest.split(" ; ")))
            # The reply is read before the others are asked what they were told.
            replies = {name: told(clients[name], f"{number}.1")}
            time.sleep(0.01)
            for other, client in clients.items():
                replies[other] = replies.get(other, []) + told(client, f"{number}.2")
            found.append(
                (
                    step,
                    [_plain(reply, ids) for who in "abcd" for reply in (*replies[who], Reply("from", who))],
                )
            )
        return found
    finally:
        for client in clients.values():
            client.close()


def _plain(reply: Reply, ids: dict[str, int]) -> Reply:
    if isinstance(reply.value, list):
        values = [_plain(one, ids) for one in reply.value]
        return Reply(reply.kind, sorted(values, key=repr) if reply.kind == "~" else values)
    if reply.kind == "%" or (reply.kind == ":" and reply.value in ids.values() and reply.value > 2):
        return Reply(":", "an id")
    return reply


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_clients_are_told_what_valkey_tells_them(valkey: Server, standalone: Server, story: Story) -> None:
    theirs, ours = play(valkey, story), play(standalone, story)
    for (step, expected), (_, got) in zip(theirs, ours, strict=True):
        assert got == expected, step


def test_what_a_script_names_and_does_not_read_is_not_told_wherever_it_runs(cluster: Server) -> None:
    for port in cluster.ports:
        with Connection(HOST, port, 3) as client, Connection(HOST, port) as writer:
            client.ask("CLIENT", "TRACKING", "ON")
            for number in range(8):  # of several groups, so that most are led elsewhere
                last, read, named = (f"{{{port}.{number}}}{name}" for name in ("last", "read", "named"))
                client.ask("GET", last)
                client.ask("EVAL", "return 1", "1", named)
                client.ask("EVAL", "return redis.call('get', KEYS[1])", "1", read)
                for key in (named, read, last):
                    writer.ask("SET", key, "1")
                keys: list[bytes] = []
                while last.encode() not in keys:
                    keys += [
                        key.value
                        for push in told(client, "heard")
                        if push.kind == ">"
                        for key in push.value[1].value
                    ]
                assert keys == [read.encode(), last.encode()]


@pytest.mark.parametrize("protocol", [2, 3])
def test_whoever_is_told_instead_may_be_gone(valkey: Server, standalone: Server, protocol: int) -> None:
    said = []
    for server in (valkey, standalone):
        flush(server)
        with Connection(HOST, server.port, protocol) as client, Connection(HOST, server.port) as writer:
            other = Connection(HOST, server.port, 3)
            id_ = other.ask("CLIENT", "ID").value
            client.ask("CLIENT", "TRACKING", "ON", "REDIRECT", str(id_))
            client.ask("GET", "k")
            other.close()
            while b"id=%d " % id_ in writer.ask("CLIENT", "LIST").value:
                time.sleep(0.01)
            writer.ask("SET", "k", "1")
            time.sleep(0.05)
            client.send(encode(["CLIENT", "TRACKINGINFO"]))
            said.append(
                str([_plain(reply, {"it": id_}) for reply in told(client, "end")]).replace(str(id_), "id")
            )
            lines = writer.ask("CLIENT", "LIST").value.decode().splitlines()
            said.append([line.split(" flags=")[1].split()[0] for line in lines if f"redir={id_}" in line])
    assert said[0].count("broken_redirect") == 1
    assert said[:2] == said[2:]
