"""What is more than requests and replies: inline commands, CLIENT REPLY, protocol changes in a pipeline, the ends of
connections, and sizes.

A conversation is bytes in, replies out, until a last ECHO comes back or the server has closed the connection.
"""

from random import Random
from typing import NamedTuple

import pytest

from tests.conformance.harness.servers import HOST, Server, flush
from tests.conformance.harness.wire import Connection, Reply, Request, encode

MARK = b"this is the end"


class Conversation(NamedTuple):
    """Bytes that a client sends at once."""

    claim: str
    sent: bytes


def pipeline(*requests: Request) -> bytes:
    return b"".join(map(encode, requests))


def replies(server: Server, sent: bytes, node: int = 0) -> tuple[list[Reply], bool]:
    """All replies, and whether the connection was still open after them."""
    flush(server)
    with Connection(HOST, server.ports[node % len(server.ports)]) as connection:
        connection.send(sent + encode(["ECHO", MARK]))
        found = []
        while True:
            try:
                reply = connection.read()
            except (EOFError, ConnectionResetError):
                return found, False
            if reply.value == MARK:
                return found, True
            found.append(reply)


def client_reply(mode: str) -> Request:
    return ["CLIENT", "REPLY", mode]


CONVERSATIONS = [
    Conversation(
        "inline commands", b'SET k \'a b\'\r\nGET k\nget "k"\r\n\r\nSET k "\\x00\\xff"\r\nGET k\r\n'
    ),
    Conversation("inline and arrays mixed", b"SET k 1\r\n" + pipeline(["INCR", "k"]) + b"INCR k\n"),
    Conversation("inline in a transaction", b"MULTI\r\nSET k 1\r\nINCR k\r\nNOSUCH x\r\nEXEC\r\nGET k\r\n"),
    Conversation("unbalanced quotes end it", b"SET k 1\r\nGET k\r\nSET k 'a\r\nGET k\r\n"),
    Conversation("a protocol error ends it after the replies", pipeline(["SET", "k", "1"]) + b"*1\r\n:1\r\n"),
    Conversation(
        "a protocol error in a transaction", pipeline(["MULTI"], ["SET", "k", "1"]) + b"*1\r\n$-5\r\n"
    ),
    Conversation(
        "quit answers, and nothing after it runs", pipeline(["SET", "k", "1"], ["QUIT"], ["INCR", "k"])
    ),
    Conversation("quit in a transaction", pipeline(["MULTI"], ["SET", "k", "1"], ["QUIT"])),
    Conversation("quit takes any arguments", pipeline(["QUIT", "a", "b"])),
    Conversation(
        "client reply off, until on",
        pipeline(
            ["SET", "k", "1"],
            client_reply("OFF"),
            ["INCR", "k"],
            ["NOSUCH"],
            ["GET"],
            ["PING"],
            client_reply("ON"),
            ["INCR", "k"],
        ),
    ),
    Conversation(
        "client reply skip is for one command",
        pipeline(
            client_reply("SKIP"),
            ["SET", "k", "1"],
            ["INCR", "k"],
            client_reply("SKIP"),
            ["NOSUCH"],
            ["INCR", "k"],
        ),
    ),
    Conversation(
        "client reply skip twice",
        pipeline(client_reply("SKIP"), client_reply("SKIP"), ["PING", "1"], ["PING", "2"], ["PING", "3"]),
    ),
    Conversation(
        "client reply skip while off",
        pipeline(client_reply("OFF"), client_reply("SKIP"), ["PING", "1"], client_reply("ON"), ["PING", "2"]),
    ),
    Conversation(
        "client reply skip is for a command that waits until those before it are answered",
        pipeline(
            ["SET", "k", "1"],
            client_reply("SKIP"),
            ["PUBLISH", "channel", "message"],
            ["GET", "k"],
            client_reply("SKIP"),
            ["INCR", "k"],
            client_reply("SKIP"),
            ["PUBLISH", "channel", "message"],
            ["INCR", "k"],
        ),
    ),
    Conversation("client reply on when it is on", pipeline(client_reply("ON"), ["PING"])),
    Conversation(
        "client reply of something else", pipeline(client_reply("MAYBE"), ["CLIENT", "REPLY"], ["PING"])
    ),
    Conversation(
        "client reply off over keys of all groups",
        pipeline(
            client_reply("OFF"),
            *(["SET", f"k{number}", "1"] for number in range(40)),
            ["DBSIZE"],
            ["MGET", *(f"k{number}" for number in range(40))],
            client_reply("ON"),
            ["DBSIZE"],
        ),
    ),
    Conversation(
        "client reply off and transactions",
        pipeline(
            client_reply("OFF"),
            ["MULTI"],
            ["SET", "k", "1"],
            ["INCR", "k"],
            ["EXEC"],
            client_reply("ON"),
            ["MULTI"],
            ["GET", "k"],
            ["EXEC"],
        ),
    ),
    Conversation(
        "client reply skip and a transaction",
        pipeline(
            client_reply("SKIP"),
            ["MULTI"],
            ["SET", "k", "1"],
            client_reply("SKIP"),
            ["GET", "k"],
            ["DISCARD"],
        ),
    ),
    Conversation(
        "client reply skip and watch",
        pipeline(client_reply("SKIP"), ["WATCH", "k"], ["SET", "k", "1"], ["MULTI"], ["GET", "k"], ["EXEC"]),
    ),
    Conversation(
        "protocols change in the middle",
        pipeline(
            ["GET", "missing"],
            ["SET", "k", "1"],
            ["RESET"],
            ["GET", "missing"],
            ["CLIENT", "REPLY", "SKIP"],
            ["HELLO", "3"],
            ["GET", "missing"],
            ["MGET", "k", "missing"],
            ["MULTI"],
            ["GET", "missing"],
            ["EXEC"],
            ["RESET"],
            ["GET", "missing"],
        ),
    ),
    Conversation("hello refuses unknown versions", pipeline(["HELLO", "1"], ["HELLO", "4"], ["HELLO", "x"])),
    Conversation(
        "any bytes are keys and values",
        pipeline(
            *(
                step
                for key in (
                    b"",
                    b"\0",
                    b"\r\n",
                    b"\xff" * 3,
                    b"*1\r\n",
                    b" ",
                    "é".encode(),
                    bytes(range(256)),
                )
                for step in (["SET", key, key * 2], ["GET", key], ["APPEND", key, key], ["STRLEN", key])
            ),
            ["DBSIZE"],
        ),
    ),
    Conversation(
        "a key of 64 KiB", pipeline(["SET", "k" * 65536, "1"], ["INCR", "k" * 65536], ["EXISTS", "k" * 65536])
    ),
    Conversation(
        "values of several MiB",
        pipeline(
            ["SET", "big", bytes(range(256)) * 20_000],
            ["GET", "big"],
            ["APPEND", "big", "x" * 1_000_000],
            ["STRLEN", "big"],
            ["GETRANGE", "big", "5119990", "5120010"],
            ["SETRANGE", "far", "3000000", "x"],
            ["GET", "far"],
            ["GETDEL", "big"],
        ),
    ),
    Conversation(
        "a request of 10000 arguments", pipeline(["DEL", *(f"k{number}" for number in range(10_000))])
    ),
    Conversation("one after the other on one key", pipeline(*[["INCR", "k"]] * 5000)),
]


def random_pipeline() -> bytes:
    """About a MiB of all kinds of commands on keys of all groups."""
    random = Random(1)
    requests: list[Request] = []
    for _ in range(16_000):
        key, other = (f"k{random.randrange(200)}" for _ in range(2))
        requests.append(
            random.choice(
                [
                    ["SET", key, "x" * random.randrange(200)],
                    ["SET", key, str(random.randrange(1000))],
                    ["GET", key],
                    ["INCR", key],
                    ["APPEND", key, "y" * random.randrange(50)],
                    ["MGET", key, other],
                    ["DEL", key, other],
                    ["EXISTS", key, other],
                    ["SETBIT", key, str(random.randrange(500)), "1"],
                    ["BITCOUNT", key],
                    ["PING", key],
                    ["NOSUCH", key],
                    ["GETEX", key, "PERSIST"],
                    ["DBSIZE"],
                    ["OBJECT", "ENCODING", key],
                    ["TYPE", key],
                    ["MULTI"],
                    ["EXEC"] if random.random() < 0.5 else ["DISCARD"],
                ]
                if random.random() < 0.2
                else [["SET", key, "z" * 150], ["GET", key], ["INCRBY", key, "3"]]
            )
        )
    return pipeline(*requests)


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda conversation: conversation.claim)
def test_a_conversation_is_as_with_valkey(
    valkey: Server, redraft: Server, conversation: Conversation
) -> None:
    theirs = replies(valkey, conversation.sent)
    for node in range(len(redraft.ports)):
        assert replies(redraft, conversation.sent, node) == theirs


def test_a_pipeline_of_a_mib_is_answered_as_by_valkey(valkey: Server, standalone: Server) -> None:
    """On a cluster a MULTI over several groups is refused, so that it would differ."""
    sent = random_pipeline()
    assert len(sent) > 1 << 20
    theirs, ours = (pipelined(server, sent) for server in (valkey, standalone))
    assert ours == theirs


def test_a_pipeline_of_a_mib_over_all_groups_is_answered_as_by_valkey(
    valkey: Server, cluster: Server
) -> None:
    sent = random_pipeline().replace(pipeline(["MULTI"]), pipeline(["PING"]))
    theirs, ours = (pipelined(server, sent) for server in (valkey, cluster))
    assert ours == theirs


def pipelined(server: Server, sent: bytes) -> list[Reply]:
    """The replies to a pipeline larger than the buffers between client and server."""
    flush(server)
    with Connection(HOST, server.port) as connection:
        return connection.converse(sent, sent.count(b"\r\n*") + 1)
