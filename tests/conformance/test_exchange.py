"""DUMP and RESTORE between Redraft and a real Valkey: a payload of either is the same value in the other.

Values are made on both by the same requests, so that every encoding that a real server makes is met. Payloads go both
ways, and afterwards both are asked for the restored values, their encodings and what hangs on them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import pytest

from tests.conformance.harness.compare import agree
from tests.conformance.harness.servers import HOST, Server, flush
from tests.conformance.harness.wire import Connection, Reply, Request

FAR_MS = "33000000000000"
SIZES = (1, 5, 128, 129, 600)


class Exchange(NamedTuple):
    """A value."""

    name: str
    makes: Sequence[Request]
    """Requests that make it of the missing key `k`."""
    asks: Sequence[Request]
    """Requests about it, by which two values are compared."""


LIST: Sequence[Request] = [["LRANGE", "k", "0", "-1"], ["LLEN", "k"]]
SET: Sequence[Request] = [["SMEMBERS", "k"], ["SCARD", "k"]]
ZSET: Sequence[Request] = [
    ["ZRANGE", "k", "0", "-1", "WITHSCORES"],
    ["ZRANGE", "k", "2", "3"],
    ["ZCARD", "k"],
]
HASH: Sequence[Request] = [["HGETALL", "k"], ["HPEXPIRETIME", "k", "FIELDS", "2", "f0", "f1"], ["HLEN", "k"]]
STREAM: Sequence[Request] = [
    ["XRANGE", "k", "-", "+"],
    ["XINFO", "GROUPS", "k"],
    ["XPENDING", "k", "g"],
    ["XPENDING", "k", "g", "-", "+", "10", "al"],
    ["XADD", "k", "900-1", "more", "entries"],
    ["XTRIM", "k", "MAXLEN", "~", "60"],
    ["XREADGROUP", "GROUP", "g", "bob", "STREAMS", "k", ">"],
]


def exchanges() -> list[Exchange]:
    """Every type and encoding, small and large."""
    found = [
        Exchange("string", [["SET", "k", "hello" * 20]], [["GET", "k"]]),
        Exchange("integer", [["SET", "k", "-70000"]], [["GET", "k"]]),
        Exchange("large string", [["SET", "k", "hello" * 20000]], [["GET", "k"]]),
        Exchange(
            "emptied stream", [["XADD", "k", "5-1", "a", "b"], ["XTRIM", "k", "MAXLEN", "0"]], STREAM[:1]
        ),
    ]
    for n in SIZES:
        numbers = [str((at * 2654435761) % 2**34 - 2**33) for at in range(n)]
        some = [("1", "-5", "4000", "70000", str(2**40), "abc", "x" * 70)[at % 7] for at in range(n)]
        large = ["y" * (1, 300, 5000, 9000)[at % 4] for at in range(n)]
        words = [f"m{at}" for at in range(n)]
        scores = [("1", "-2.5", "1e300", "inf", "-inf", "0.1", "3")[at % 7] for at in range(n)]
        scored = [part for pair in zip(scores, words, strict=True) for part in pair]
        long_scored = [part for pair in zip(scores, words, strict=True) for part in (pair[0], pair[1] * 40)]
        fields = [part for at in range(n) for part in (f"f{at}", f"v{at}")]
        long_fields = [part for at in range(n) for part in (f"f{at}", f"v{at}" * 40)]
        adds: list[Request] = [
            ["XADD", "k", f"{at + 1}-{at % 3}", *(["a", str(at)] if at % 7 else ["b", "c", "d", "e"])]
            for at in range(n)
        ]
        groups: list[Request] = [
            ["XGROUP", "CREATE", "k", "g", "0"],
            ["XGROUP", "CREATE", "k", "h", "$"],
            ["XREADGROUP", "GROUP", "g", "al", "COUNT", "3", "STREAMS", "k", ">"],
            ["XREADGROUP", "GROUP", "g", "bob", "COUNT", "200", "STREAMS", "k", ">"],
            ["XDEL", "k", "2-1"],
            ["XACK", "k", "g", "3-2"],
            ["XGROUP", "CREATECONSUMER", "k", "h", "carl"],
        ]
        found += [
            Exchange(f"list of {n}", [["RPUSH", "k", *some]], LIST),
            Exchange(f"list of {n}, some large", [["RPUSH", "k", *large]], LIST),
            Exchange(f"set of {n} integers", [["SADD", "k", *numbers]], SET),
            Exchange(f"set of {n}", [["SADD", "k", *words]], SET),
            Exchange(f"set of {n} long ones", [["SADD", "k", *(word * 40 for word in words)]], SET),
            Exchange(f"sorted set of {n}", [["ZADD", "k", *scored]], ZSET),
            Exchange(f"sorted set of {n} long ones", [["ZADD", "k", *long_scored]], ZSET),
            Exchange(f"hash of {n}", [["HSET", "k", *fields]], HASH),
            Exchange(f"hash of {n} long ones", [["HSET", "k", *long_fields]], HASH),
            Exchange(
                f"hash of {n} with a life",
                [["HSET", "k", *fields], ["HPEXPIREAT", "k", FAR_MS, "FIELDS", "1", "f0"]],
                HASH,
            ),
            Exchange(f"stream of {n}", adds, [STREAM[0], *STREAM[4:6]]),
            Exchange(f"stream of {n} with groups", [*adds, *groups], STREAM),
        ]
    numbers = [str(at) for at in range(50)]
    found.append(
        Exchange("set of integers in a listpack", [["SADD", "k", "x", *numbers], ["SREM", "k", "x"]], SET)
    )
    return found


EXCHANGES = {exchange.name: exchange for exchange in exchanges()}


def timeless(request: Request, reply: Reply) -> Reply:
    """The reply without the milliseconds since a delivery."""
    if request[0] == "XPENDING" and len(request) > 3:
        return Reply(reply.kind, [Reply(row.kind, [*row.value[:2], *row.value[3:]]) for row in reply.value])
    return reply


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_value_goes_both_ways(valkey: Server, redraft: Server, name: str) -> None:
    exchange = EXCHANGES[name]
    flush(valkey)
    flush(redraft)
    with Connection(HOST, valkey.port, 3) as theirs, Connection(HOST, redraft.port, 3) as ours:
        for client in (theirs, ours):
            made = client.ask_all(list(exchange.makes))
            assert not any(reply.is_error for reply in made), made
        encoding = theirs.ask("OBJECT", "ENCODING", "k")
        assert ours.ask("OBJECT", "ENCODING", "k") == encoding
        their_payload, our_payload = theirs.ask("DUMP", "k").value, ours.ask("DUMP", "k").value
        assert theirs.ask("RESTORE", "k", "0", our_payload, "REPLACE") == Reply("+", b"OK")
        assert ours.ask("RESTORE", "k", "0", their_payload, "REPLACE") == Reply("+", b"OK")
        for request in (["OBJECT", "ENCODING", "k"], *exchange.asks):
            expected, got = (timeless(request, client.ask(*request)) for client in (theirs, ours))
            held = encoding.value == b"hashtable"
            assert agree(request, expected, got, held), f"{request}\n{str(expected)[:500]}\n{str(got)[:500]}"
