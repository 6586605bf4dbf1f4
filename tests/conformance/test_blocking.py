"""Clients that wait for a key: who is served, in which order, how it ends. A real Valkey tells the same stories.

In the cluster the clients talk to different nodes, so that who waits and who is waited for are forwarded or not.
"""

import time
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from tests.conformance.harness.servers import HOST, Server
from tests.conformance.harness.wire import Connection, Reply, encode

Open = Callable[[], Connection]


@pytest.fixture(params=["valkey", "standalone", "cluster"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def client(server: Server) -> Iterator[Open]:
    """Opens connections, to one node after the other."""
    connections: list[Connection] = []

    def connect() -> Connection:
        connections.append(Connection(HOST, server.ports[len(connections) % len(server.ports)]))
        return connections[-1]

    connect().ask("FLUSHALL")
    yield connect
    for connection in connections:
        connection.close()


def plain(reply: Reply) -> object:
    return [plain(element) for element in reply.value] if isinstance(reply.value, list) else reply.value


def wait(connection: Connection, *request: str, shown: bytes = b" flags=b ") -> None:
    """Send a request that is not answered yet, and return when it waits, where its keys are, too. `shown`: how CLIENT
    LIST tells that it has begun."""
    id_ = str(connection.ask("CLIENT", "ID").value)
    connection.send(encode(request))
    with Connection(*connection.address) as beside:
        while shown not in beside.ask("CLIENT", "LIST", "ID", id_).value:
            time.sleep(0.005)
        beside.ask("DBSIZE")  # goes the same ways behind it, to all groups


def blocked(server: Server) -> int:
    """How many clients wait, all nodes together. All groups know of no more."""
    count = 0
    for port in server.ports:
        with Connection(HOST, port) as connection:
            text: bytes = connection.ask("INFO", "clients").value
            count += int(text.partition(b"blocked_clients:")[2].split()[0])
            connection.ask("DBSIZE")
    return count


def until_blocked(server: Server, count: int) -> None:
    while blocked(server) != count:
        time.sleep(0.01)


def test_who_came_first_is_served_first_and_each_once(client: Open) -> None:
    waiting = [client() for _ in range(4)]
    for connection in waiting:
        wait(connection, "BLPOP", "{t}none", "{t}k", "0")
    pusher = client()
    assert pusher.ask("RPUSH", "{t}k", "1", "2").value == 2
    assert pusher.ask("LPUSH", "{t}k", "3").value == 1
    assert pusher.ask("RPUSH", "{t}k", "4", "5").value == 2
    assert [plain(connection.read()) for connection in waiting] == [
        [b"{t}k", b"%d" % n] for n in (1, 2, 3, 4)
    ]
    assert plain(pusher.ask("LRANGE", "{t}k", "0", "-1")) == [b"5"]


def test_one_push_goes_through_a_chain(client: Open) -> None:
    last, middle, other = client(), client(), client()
    wait(last, "BLMPOP", "0", "2", "{t}x", "{t}c", "LEFT", "COUNT", "5")
    wait(middle, "BLMOVE", "{t}b", "{t}c", "LEFT", "RIGHT", "0")
    wait(other, "BRPOPLPUSH", "{t}a", "{t}b", "0")
    assert client().ask("LPUSH", "{t}a", "v").value == 1
    assert plain(last.read()) == [b"{t}c", [b"v"]]
    assert plain(middle.read()) == plain(other.read()) == b"v"
    assert client().ask("EXISTS", "{t}a", "{t}b", "{t}c").value == 0


def test_what_a_transaction_pushes_and_takes_again_was_never_there(client: Open) -> None:
    waiting, other = client(), client()
    wait(waiting, "BLPOP", "k", "0")
    other.ask_all([["MULTI"], ["RPUSH", "k", "1"], ["LPOP", "k"], ["EXEC"]])
    other.ask_all([["MULTI"], ["RPUSH", "k", "2"], ["LPUSH", "k", "3"], ["EXEC"]])
    assert plain(waiting.read()) == [b"k", b"3"]


def test_another_type_wakes_nobody(client: Open) -> None:
    waiting, other = client(), client()
    wait(waiting, "BLPOP", "k", "0")
    other.ask("SET", "k", "text")
    other.ask("DEL", "k")
    other.ask("RPUSH", "k", "1")
    assert plain(waiting.read()) == [b"k", b"1"]


def test_a_list_may_come_by_another_name_or_another_database(client: Open, server: Server) -> None:
    first, second, other = client(), client(), client()
    wait(first, "BLPOP", "{t}k", "0")
    other.ask("RPUSH", "{t}other", "1")
    other.ask("RENAME", "{t}other", "{t}k")
    assert plain(first.read()) == [b"{t}k", b"1"]
    wait(second, "BLPOP", "{t}k", "0")
    other.ask("SELECT", "1")
    other.ask("RPUSH", "{t}k", "2")
    other.ask("SWAPDB", "0", "1")
    assert plain(second.read()) == [b"{t}k", b"2"]


def test_who_reads_a_stream_waits_for_a_stream(client: Open) -> None:
    waiting, other = client(), client()
    wait(waiting, "XREAD", "BLOCK", "0", "STREAMS", "k", "$")
    for request in (["SET", "k", "1"], ["DEL", "k"], ["LPUSH", "k", "1"], ["DEL", "k"]):
        other.ask(*request)
        time.sleep(0.05)
    other.ask("XADD", "k", "1-1", "f", "v")
    assert plain(waiting.read()) == [[b"k", [[b"1-1", [b"f", b"v"]]]]]


@pytest.mark.parametrize("end", [["DEL", "k"], ["SET", "k", "1"], ["FLUSHDB"], ["FLUSHALL"]])
def test_a_consumer_is_told_that_its_stream_has_gone(client: Open, end: list[str]) -> None:
    waiting, other = client(), client()
    for request in (["XADD", "k", "1-1", "f", "v"], ["XGROUP", "CREATE", "k", "g", "$"]):
        other.ask(*request)
    waiting.ask("CONFIG", "RESETSTAT")
    wait(waiting, "XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "k", ">")
    other.ask(*end)
    code = b"WRONGTYPE" if end[0] == "SET" else b"NOGROUP"
    assert waiting.read().contains_error(code)
    assert b"errorstat_%b:count=1\r\n" % code in waiting.ask("INFO", "errorstats").value


def test_time_is_over(client: Open) -> None:
    waiting = client()
    began_s = time.monotonic()
    for request in (
        ["BLPOP", "{t}k", "0.2"],
        ["BLMOVE", "{t}k", "{t}l", "LEFT", "LEFT", "0.2"],
        ["BLMPOP", "0.2", "1", "{t}k", "LEFT"],
    ):
        assert waiting.ask(*request) == Reply("*", None)
    assert time.monotonic() - began_s >= 0.6
    assert client().ask("RPUSH", "{t}k", "1").value == 1
    assert client().ask("LLEN", "{t}k").value == 1


def test_a_long_wait_outlasts_what_a_request_may_take(client: Open) -> None:
    waiting = [client() for _ in range(3)]
    for connection in waiting:
        connection.send(encode(["BLPOP", "k", "0"]))
    time.sleep(8)
    client().ask("RPUSH", "k", "1", "2", "3")
    assert sorted(plain(connection.read())[1] for connection in waiting) == [b"1", b"2", b"3"]  # type: ignore[index]


def test_commands_behind_it_wait(client: Open) -> None:
    for number in range(3):
        waiting = client()
        key = f"k{number}"
        waiting.send(b"".join(map(encode, (["BLPOP", key, "0"], ["SET", "done", key], ["GET", "done"]))))
        time.sleep(0.15)
        assert client().ask("GET", "done").value != key.encode()
        client().ask("RPUSH", key, "1")
        assert [plain(waiting.read()) for _ in range(3)] == [[key.encode(), b"1"], b"OK", key.encode()]


def test_client_unblock(client: Open, server: Server) -> None:
    for port, number in zip(server.ports, count()):
        with Connection(HOST, port) as waiting, Connection(HOST, port) as other:
            id_ = str(waiting.ask("CLIENT", "ID").value)
            assert other.ask("CLIENT", "UNBLOCK", id_).value == 0
            key = f"k{number}"
            wait(waiting, "BLPOP", key, "0")
            assert b" flags=b " in other.ask("CLIENT", "LIST", "ID", id_).value
            until_blocked(server, 1)
            assert other.ask("CLIENT", "UNBLOCK", id_).value == 1
            assert waiting.read() == Reply("*", None)
            wait(waiting, "BRPOP", key, "0")
            assert other.ask("CLIENT", "UNBLOCK", id_, "ERROR").value == 1
            assert waiting.read() == Reply("-", b"UNBLOCKED client unblocked via CLIENT UNBLOCK")
            assert b"blocked_clients:0\r\n" in other.ask("INFO", "clients").value
            assert other.ask("RPUSH", key, "1").value == 1
            assert plain(waiting.ask("BLPOP", key, "0")) == [key.encode(), b"1"]


def test_who_has_gone_takes_nothing(client: Open, server: Server) -> None:
    leaving, staying = [client() for _ in range(3)], client()
    for connection in (*leaving, staying):
        wait(connection, "BLPOP", "k", "0")
    for connection in leaving:
        connection.close()
    until_blocked(server, 1)
    assert client().ask("RPUSH", "k", "1", "2").value == 2
    assert plain(staying.read()) == [b"k", b"1"]
    assert plain(client().ask("LRANGE", "k", "0", "-1")) == [b"2"]


def test_every_reader_of_a_stream_reads_and_of_a_group_one(client: Open) -> None:
    readers, members = [client() for _ in range(2)], [client() for _ in range(2)]
    other = client()
    other.ask("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    for reader in readers:
        wait(reader, "XREAD", "BLOCK", "0", "STREAMS", "s", "$")
    for member in members:
        wait(member, "XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">")
    for number in (1, 2):
        assert other.ask("XADD", "s", f"{number}-0", "f", "v").value == b"%d-0" % number
    first, second = ([[b"s", [[b"%d-0" % number, [b"f", b"v"]]]]] for number in (1, 2))
    assert [plain(reader.read()) for reader in readers] == [first, first]
    assert [plain(member.read()) for member in members] == [first, second]


@pytest.mark.parametrize(
    ("end", "error"),
    [
        ("DEL s", b"NOGROUP"),
        ("FLUSHALL", b"NOGROUP"),
        ("SWAPDB 0 1", b"NOGROUP"),
        ("SET s text", b"WRONGTYPE"),
        ("RENAME {s}other s", b"WRONGTYPE"),
        ("XGROUP DESTROY s g", b"NOGROUP"),
    ],
)
def test_whose_stream_goes_away_hears_of_it_if_he_reads_for_a_group(
    client: Open, end: str, error: bytes
) -> None:
    reader, member, other = client(), client(), client()
    other.ask_all(
        [["SET", "{s}other", "v"], ["XADD", "s", "1", "f", "v"], ["XGROUP", "CREATE", "s", "g", "$"]]
    )
    wait(reader, "XREAD", "BLOCK", "800", "STREAMS", "s", "$", shown=b" cmd=xread ")  # it may be over already
    wait(member, "XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">")
    other.ask(*end.split())
    assert plain(reader.read()) is None
    reply = member.read()
    assert reply.is_error
    assert reply.contains_error(error)
    other.ask("SWAPDB", "0", "1")
    other.ask("FLUSHALL")


def test_poppers_of_sorted_sets_are_served_in_order_by_scripts_and_transactions(client: Open) -> None:
    waiting = [client() for _ in range(3)]
    wait(waiting[0], "BZPOPMIN", "{t}z", "0")
    wait(waiting[1], "BZPOPMAX", "{t}z", "0")
    wait(waiting[2], "BZMPOP", "0", "2", "{t}y", "{t}z", "MIN")
    other = client()
    script = "redis.call('zadd', KEYS[1], 1, 'a', 2, 'b') return redis.call('zcard', KEYS[1])"
    assert other.ask("EVAL", script, "1", "{t}z").value == 2
    assert [plain(connection.read()) for connection in waiting[:2]] == [
        [b"{t}z", b"a", b"1"],
        [b"{t}z", b"b", b"2"],
    ]
    other.ask_all([["MULTI"], ["ZADD", "{t}z", "3", "c"], ["ZADD", "{t}z", "4", "d"], ["EXEC"]])
    assert plain(waiting[2].read()) == [b"{t}z", [[b"c", b"3"]]]
    assert plain(other.ask("ZRANGE", "{t}z", "0", "-1")) == [b"d"]


@pytest.mark.parametrize("server", ["valkey", "standalone"], indirect=True)
@pytest.mark.parametrize("request_", [["WAIT", "9", "0"], ["WAITAOF", "0", "9", "0"]])
def test_who_waits_for_replicas_is_unblocked(client: Open, request_: list[str]) -> None:
    waiting, other = client(), client()
    id_ = str(waiting.ask("CLIENT", "ID").value)
    wait(waiting, *request_)
    assert b"flags=b " in other.ask("CLIENT", "LIST", "ID", id_).value
    assert other.ask("CLIENT", "UNBLOCK", id_).value == 1
    assert plain(waiting.read()) in (0, [0, 0], [1, 0])  # ours is on disk
    wait(waiting, *request_)
    assert other.ask("CLIENT", "UNBLOCK", id_, "ERROR").value == 1
    assert waiting.read() == Reply("-", b"UNBLOCKED client unblocked via CLIENT UNBLOCK")
    assert other.ask("CLIENT", "UNBLOCK", id_).value == 0
    waiting.ask("MULTI")
    waiting.ask(*request_)
    assert plain(waiting.ask("EXEC")) in ([0], [[0, 0]], [[1, 0]]), "in a transaction nothing waits"
