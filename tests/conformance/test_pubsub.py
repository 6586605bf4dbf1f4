"""Publish and subscribe, to a real Valkey and to Redraft: everything that each of two clients is sent is the same.

A SUBSCRIBE has as many replies as names, and messages come unasked, so that replies can not be counted here. What one
client sends in a row is one pipeline; then both send a PING with a word of its own, and what comes before the word is
what the servers said until then. A step that begins with `@other` is the second client's.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple
from zlib import crc32

import pytest

from tests.conformance.harness.compare import CLOSED
from tests.conformance.harness.servers import HOST, Server
from tests.conformance.harness.wire import Connection, Reply, encode

GREETING = Reply("HELLO", b"")
"""Stands for what HELLO answers, which names the server."""


class Story(NamedTuple):
    """What two clients do."""

    name: str
    steps: Sequence[Sequence[str | bytes]]


STORIES = [
    Story(
        "SUBSCRIBE answers with counts, and UNSUBSCRIBE takes them back",
        [
            ["SUBSCRIBE", "a"],
            ["SUBSCRIBE", "b"],
            ["SUBSCRIBE", "a"],
            ["PSUBSCRIBE", "n*"],
            ["SSUBSCRIBE", "s"],
            ["UNSUBSCRIBE", "nosuch"],
            ["UNSUBSCRIBE", "a"],
            ["UNSUBSCRIBE"],
            ["UNSUBSCRIBE"],
            ["PUNSUBSCRIBE", "x*"],
            ["PUNSUBSCRIBE"],
            ["PUNSUBSCRIBE"],
            ["SUNSUBSCRIBE", "nosuch"],
            ["SUNSUBSCRIBE"],
            ["SUNSUBSCRIBE"],
            ["PING"],
        ],
    ),
    Story(
        "a RESP2 subscriber may do little else",
        [
            ["SUBSCRIBE", "a"],
            ["GET", "k"],
            ["CLIENT", "LIST", "ID", "0"],
            ["HELLO", "2"],
            ["PUBLISH", "b", "x"],
            ["MULTI"],
            ["nosuch"],
            ["GET"],
            ["PING"],
            ["PING", "hello"],
            ["PING", "too", "many"],
            ["UNSUBSCRIBE"],
            ["GET", "k"],
            ["PING"],
        ],
    ),
    Story(
        "RESET ends all subscriptions",
        [
            ["SUBSCRIBE", "a"],
            ["PSUBSCRIBE", "b"],
            ["SSUBSCRIBE", "c"],
            ["RESET"],
            ["GET", "k"],
            ["PUBSUB", "NUMSUB", "a"],
            ["PUBSUB", "NUMPAT"],
        ],
    ),
    Story("QUIT is allowed", [["SUBSCRIBE", "a"], ["QUIT"]]),
    Story(
        "messages reach who listens, in order",
        [
            ["SUBSCRIBE", "news"],
            ["@other", "PUBLISH", "news", "one"],
            ["@other", "PUBLISH", "other", "two"],
            ["@other", "SPUBLISH", "news", "three"],
            ["@other", "PUBLISH", "news", ""],
            ["UNSUBSCRIBE", "news"],
            ["PING"],
            ["PING"],
        ],
    ),
    Story(
        "a client that matches twice hears it twice",
        [
            ["SUBSCRIBE", "news"],
            ["PSUBSCRIBE", "n*"],
            ["@other", "PUBLISH", "news", "one"],
            ["@other", "PUBLISH", "nothing", "two"],
            ["PUNSUBSCRIBE", "n*"],
            ["UNSUBSCRIBE", "news"],
            ["PING"],
            ["PING"],
            ["PING"],
        ],
    ),
    Story(
        "sharded channels are a world of their own",
        [
            ["SSUBSCRIBE", "news"],
            ["@other", "PUBLISH", "news", "one"],
            ["@other", "SPUBLISH", "news", "two"],
            ["@other", "PUBSUB", "SHARDCHANNELS"],
            ["@other", "PUBSUB", "SHARDNUMSUB", "news", "nosuch"],
            ["@other", "PUBSUB", "CHANNELS"],
            ["SUNSUBSCRIBE", "news"],
            ["PING"],
        ],
    ),
    Story(
        "PUBSUB tells what there is",
        [
            ["SUBSCRIBE", "a1"],
            ["SUBSCRIBE", "b1"],
            ["PSUBSCRIBE", "a*"],
            ["@other", "PUBSUB", "CHANNELS", "a*"],
            ["@other", "PUBSUB", "CHANNELS", "nosuch"],
            ["@other", "PUBSUB", "CHANNELS", "a", "b"],
            ["@other", "PUBSUB", "SHARDCHANNELS", "a", "b"],
            ["@other", "PUBSUB", "NUMSUB"],
            ["@other", "PUBSUB", "NUMSUB", "a1", "nosuch"],
            ["@other", "PUBSUB", "NUMPAT"],
            ["@other", "PUBSUB", "NUMPAT", "x"],
            ["@other", "PUBSUB", "SHARDNUMSUB"],
            ["@other", "PUBSUB", "HELP"],
            ["@other", "PUBSUB", "nosuch"],
            ["@other", "PUBSUB"],
        ],
    ),
    Story(
        "who publishes to itself is answered first",
        [
            ["HELLO", "3"],
            ["SUBSCRIBE", "a"],
            ["PUBLISH", "a", "x"],
            ["PING"],
            ["SSUBSCRIBE", "s"],
            ["SPUBLISH", "s", "y"],
            ["GET", "k"],
            ["PING"],
        ],
    ),
    Story(
        "in a transaction",
        [
            ["MULTI"],
            ["SUBSCRIBE", "a"],
            ["PUBLISH", "b", "x"],
            ["EXEC"],
            ["UNSUBSCRIBE", "a"],
            ["MULTI"],
            ["SET", "k", "v"],
            ["PUBLISH", "b", "x"],
            ["EXEC"],
        ],
    ),
    Story(
        "CLIENT REPLY silences no subscription",
        [
            ["CLIENT", "REPLY", "OFF"],
            ["SUBSCRIBE", "a"],
            ["PSUBSCRIBE", "b*"],
            ["SET", "k", "v"],
            ["UNSUBSCRIBE", "a"],
            ["PUNSUBSCRIBE"],
            ["PUNSUBSCRIBE"],
            ["CLIENT", "REPLY", "ON"],
            ["CLIENT", "REPLY", "SKIP"],
            ["SUBSCRIBE", "c"],
            ["@other", "PUBLISH", "c", "x"],
            ["UNSUBSCRIBE", "c"],
        ],
    ),
    Story(
        "what they are called with",
        [
            ["SUBSCRIBE"],
            ["PSUBSCRIBE"],
            ["SSUBSCRIBE"],
            ["PUBLISH", "a"],
            ["PUBLISH", "a", "b", "c"],
            ["SPUBLISH", "a"],
            ["PUBLISH", "nobody", "x"],
            ["SPUBLISH", "nobody", "x"],
        ],
    ),
]


def said(client: Connection, word: str) -> list[Reply]:
    """What the client is sent before the answer to a PING."""
    client.send(encode(["PING", word]))
    replies = []
    while True:
        try:
            reply = client.read()
        except (EOFError, ConnectionResetError):
            return [*replies, CLOSED]
        last = reply.value[-1] if reply.kind == "*" and reply.value else reply
        if last == Reply("$", word.encode()):
            return replies
        replies.append(
            GREETING if reply.kind in "*%" and reply.value[:1] == [Reply("$", b"server")] else reply
        )


def run(server: Server, story: Story, protocol: int) -> list[tuple[str, list[Reply]]]:
    port = server.ports[crc32(story.name.encode()) % len(server.ports)]
    told = []
    with Connection(HOST, port, protocol) as client, Connection(HOST, port, protocol) as other:
        client.ask("DEL", "k")
        for number, (is_other, part) in enumerate(
            groupby(story.steps, lambda step: bool(step) and step[0] == "@other")
        ):
            requests = [list(step[1:] if is_other else step) for step in part]
            (other if is_other else client).send(b"".join(map(encode, requests)))
            for name, each in (
                (("other", other), ("client", client))
                if is_other
                else (
                    ("client", client),
                    ("other", other),
                )
            ):
                told.append((f"{name} after {requests}", said(each, f"word{number}")))
    return told


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
@pytest.mark.parametrize("protocol", [2, 3])
def test_clients_are_told_what_valkey_tells_them(
    valkey: Server, redraft: Server, story: Story, protocol: int
) -> None:
    ours = run(redraft, story, protocol)
    theirs = run(valkey, story, protocol)
    for expected, got in zip(theirs, ours, strict=True):
        assert got == expected
