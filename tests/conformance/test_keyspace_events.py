"""Keyspace events, against a real Valkey: what a subscriber to all of them hears of the same commands, in order.

On a standalone node only: the events of two shard groups come in no order that could be compared.
"""

from collections.abc import Sequence

import pytest

from tests.conformance.harness.servers import HOST, Server
from tests.conformance.harness.wire import Connection, Reply
from tests.conformance.test_pubsub import said

PAST = "1000"
LIST_PAYLOAD = (
    b"\x12\x01\x02\x0e\x0e\x00\x00\x00\x03\x00\x01\x01\x02\x01\x81a\x02\xffP\x00\x03%\x0f\x195\x85>\x9d"
)
LIBRARY = (
    "#!lua name=miss\nredis.register_function('miss', function(keys) return redis.call('get', keys[1]) end)"
)
STORIES: dict[str, Sequence[Sequence[str | bytes]]] = {
    "strings set whole": [
        ["SET", "k", "v"],
        ["SET", "k", "v", "EX", "100"],
        ["SET", "k", "v", "KEEPTTL"],
        ["SET", "k", "v", "NX"],
        ["SET", "k", "v", "XX", "GET"],
        ["SET", "k", "v", "PXAT", PAST],
        ["SET", "k", "v", "PXAT", PAST],
        ["SETNX", "n", "v"],
        ["SETNX", "n", "v"],
        ["SETEX", "e", "100", "v"],
        ["PSETEX", "e", "100000", "v"],
        ["GETSET", "k", "w"],
        ["GETDEL", "k"],
        ["GETDEL", "k"],
        ["MSET", "a", "1", "b", "2"],
        ["MSETNX", "a", "1", "c", "2"],
        ["MSETNX", "d", "1", "c", "2"],
        ["MSETEX", "2", "a", "1", "b", "2", "EX", "100"],
        ["DELIFEQ", "a", "x"],
        ["DELIFEQ", "a", "1"],
    ],
    "SORT and RESTORE": [
        ["RPUSH", "l", "2", "1"],
        ["SORT", "l"],
        ["SORT", "l", "STORE", "s"],
        ["SORT", "l", "STORE", "s"],
        ["SORT", "nosuch", "STORE", "s"],
        ["SORT", "nosuch", "STORE", "s"],
        ["RESTORE", "r", "0", LIST_PAYLOAD],
        ["RESTORE", "r", "0", LIST_PAYLOAD, "REPLACE"],
        ["RESTORE", "r", "5", LIST_PAYLOAD, "REPLACE", "ABSTTL"],
        ["RESTORE", "r", "5", LIST_PAYLOAD, "REPLACE", "ABSTTL"],
        ["RESTORE", "r", "1000000", LIST_PAYLOAD],
    ],
    "GETEX": [
        ["SET", "k", "v"],
        ["GETEX", "k"],
        ["GETEX", "k", "PERSIST"],
        ["GETEX", "k", "EX", "100"],
        ["GETEX", "k", "PERSIST"],
        ["GETEX", "k", "PXAT", PAST],
        ["GETEX", "k", "EX", "100"],
    ],
    "parts and counters": [
        ["APPEND", "k", "v"],
        ["APPEND", "k", "v"],
        ["SETRANGE", "k", "0", ""],
        ["SETRANGE", "k", "1", "x"],
        ["INCR", "n"],
        ["DECRBY", "n", "3"],
        ["INCRBYFLOAT", "n", "1.5"],
        ["INCR", "n"],
        ["SETBIT", "b", "7", "1"],
        ["SETBIT", "b", "7", "1"],
        ["BITOP", "NOT", "c", "b"],
        ["BITOP", "AND", "c", "nosuch"],
        ["BITOP", "AND", "c", "nosuch"],
        ["BITFIELD", "b", "SET", "u8", "0", "1", "INCRBY", "u8", "8", "2"],
        ["BITFIELD", "b", "GET", "u8", "0"],
        ["BITFIELD", "b", "OVERFLOW", "FAIL", "INCRBY", "u2", "0", "9"],
    ],
    "keys": [
        ["MSET", "a", "1", "b", "2"],
        ["DEL", "a", "nosuch", "b"],
        ["SET", "a", "1"],
        ["UNLINK", "a"],
        ["SET", "a", "1"],
        ["RENAME", "a", "b"],
        ["RENAME", "b", "b"],
        ["SET", "c", "1"],
        ["RENAME", "c", "b"],
        ["RENAMENX", "b", "a"],
        ["COPY", "a", "b"],
        ["COPY", "a", "b"],
        ["COPY", "a", "b", "REPLACE"],
        ["COPY", "a", "b", "DB", "3"],
        ["MOVE", "a", "2"],
        ["MOVE", "a", "2"],
        ["EXPIRE", "b", "100"],
        ["EXPIRE", "b", "100", "NX"],
        ["PERSIST", "b"],
        ["PERSIST", "b"],
        ["PEXPIREAT", "b", PAST],
        ["PEXPIREAT", "b", PAST],
        ["FLUSHDB"],
    ],
    "transactions, and what fails": [
        ["MULTI"],
        ["SET", "k", "v"],
        ["INCR", "k"],
        ["DEL", "k"],
        ["EXEC"],
        ["SET", "k", "v"],
        ["INCR", "k"],
    ],
    "keys that are not there": [
        *([name, "k"] for name in ("GET", "STRLEN", "TTL", "TYPE", "EXISTS", "TOUCH", "DUMP", "EXPIRETIME")),
        *(
            [name, "k"]
            for name in ("LLEN", "SMEMBERS", "SCARD", "HGETALL", "ZCARD", "XLEN", "GETDEL", "GETEX")
        ),
        *([name, "k"] for name in ("LPOP", "SPOP", "ZPOPMIN", "DEL", "INCR", "PERSIST", "BITCOUNT", "HLEN")),
        ["FLUSHALL"],
        ["MGET", "a", "b"],
        ["EXISTS", "a", "b"],
        ["GET", "a"],
        ["GET", "a"],
        ["GETRANGE", "a", "0", "1"],
        ["GETBIT", "a", "0"],
        ["HGET", "a", "f"],
        ["HMGET", "a", "f", "g"],
        ["LRANGE", "a", "0", "-1"],
        ["LINDEX", "a", "0"],
        ["LPOS", "a", "0"],
        ["SISMEMBER", "a", "x"],
        ["SINTER", "a", "b"],
        ["SUNION", "a", "b"],
        ["ZRANGE", "a", "0", "-1"],
        ["ZSCORE", "a", "m"],
        ["ZUNION", "2", "a", "b"],
        ["XRANGE", "a", "-", "+"],
        ["PFCOUNT", "a", "b"],
        ["OBJECT", "ENCODING", "a"],
        ["SET", "a", "v", "NX", "GET"],
        ["GETSET", "b", "v"],
        ["COPY", "c", "d"],
        ["RENAME", "c", "d"],
        ["SETRANGE", "c", "0", ""],
        ["EXPIRE", "c", "10"],
        ["SDIFFSTORE", "d", "s", "t"],
        ["SUNIONSTORE", "d", "s", "t"],
        ["ZUNIONSTORE", "d", "2", "s", "t"],
        ["BITOP", "AND", "d", "s", "t"],
        ["LMOVE", "s", "t", "LEFT", "LEFT"],
        ["SMOVE", "s", "t", "m"],
        ["SET", "e", "v", "PX", "1"],
        ["@wait"],
        ["GET", "e"],
        ["DEL", "e"],
    ],
    "keys that are not there, in scripts": [
        ["EVAL", "redis.call('get', KEYS[1]) return redis.call('get', KEYS[1])", "1", "k"],
        ["EVAL", "redis.call('mget', 'a', 'b') redis.pcall('incr', 'l')", "0"],
        ["EVAL", "redis.call('exists', KEYS[1]) redis.call('set', KEYS[1], 'v')", "1", "k"],
        ["EVAL", "redis.call('hget', 'h', 'f') error('x')", "0"],
        ["EVAL_RO", "return redis.call('llen', 'l')", "0"],
        ["FUNCTION", "LOAD", "REPLACE", LIBRARY],
        ["FCALL", "miss", "1", "f"],
        ["MULTI"],
        ["GET", "m"],
        ["EVAL", "return redis.call('get', KEYS[1])", "1", "n"],
        ["GET", "o"],
        ["EXEC"],
    ],
    "keys whose time has come": [
        ["SET", "k", "v", "PX", "1"],
        ["@wait"],
        ["SET", "k", "w", "PX", "1"],
        ["@wait"],
        ["GET", "k"],
        ["DEL", "k"],
    ],
}


def heard(server: Server, story: Sequence[Sequence[str]], setting: str) -> list[Reply]:
    with Connection(HOST, server.port, 3) as listener, Connection(HOST, server.port, 3) as client:
        client.ask("FLUSHALL")
        client.ask("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        client.ask("CONFIG", "SET", "notify-keyspace-events", setting)
        listener.ask("PSUBSCRIBE", "__key*")
        for step in story:
            if step == ["@wait"]:
                said(client, "before")
                client.ask("DEBUG", "SLEEP", "0.01")
            else:
                client.ask(*step)
        client.ask("CONFIG", "SET", "notify-keyspace-events", "")
        client.ask("DEBUG", "SET-ACTIVE-EXPIRE", "1")
        return said(listener, "end")


@pytest.mark.parametrize("setting", ["KEA", "E$", "KgxE", "KEAn", "Em"])
@pytest.mark.parametrize("name", STORIES)
def test_subscribers_hear_what_valkeys_hear(
    valkey: Server, standalone: Server, name: str, setting: str
) -> None:
    ours = heard(standalone, STORIES[name], setting)
    theirs = heard(valkey, STORIES[name], setting)
    assert [told(reply) for reply in ours] == [told(reply) for reply in theirs]


def told(push: Reply) -> str:
    return b" ".join(part.value for part in push.value[2:]).decode()
