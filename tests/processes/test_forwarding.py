"""Any node takes any command: replies, order and transactions are those of one server, also while leaders change."""

import hashlib
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import hiredis
import pytest

from tests.processes.client import ConnectionLost
from tests.processes.crew import Crew
from tests.processes.harness import STEADY, Cluster, Server, eventually, key_of

Request = tuple[str | bytes | int, ...]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("forwarding"), raft=STEADY) as cluster:
        cluster.wait_spread()
        yield cluster


def transcript(prefix: str) -> list[Request]:
    """A pipeline that touches every group in turn, with errors, large values, many keys and transactions in it."""
    requests: list[Request] = []
    for number in range(60):
        key = f"{prefix}:{number % 7}"
        requests += [
            ("set", key, number),
            ("incrby", key, 5),
            ("append", key, "0"),
            ("get", key),
            ("set", key, "x" * (number * 300), "px", 100_000),
            ("incr", key) if number else ("ping",),
            ("strlen", key),
            ("echo", number),
            ("mget", f"{prefix}:0", f"{prefix}:1", f"{prefix}:2", key),
            ("nonsense",),
            ("get",),
            ("del", f"{prefix}:3", f"{prefix}:4", key),
            ("set", key, number, "nx", "get"),
            ("multi",),
            ("incr", key),
            ("get", key),
            ("exec",),
            ("exists", f"{prefix}:0", f"{prefix}:1", f"{prefix}:2"),
            ("multi",),
            ("set", f"{prefix}:a", 1),
            ("set", f"{prefix}:b", 1),
            ("discard",),
        ]
    return requests


def comparable(reply: Any) -> Any:
    """hiredis.ReplyError compares by identity."""
    if isinstance(reply, list):
        return [comparable(element) for element in reply]
    return ("error", str(reply)) if isinstance(reply, hiredis.ReplyError) else reply


def test_a_pipeline_gives_the_same_replies_in_the_same_order_through_every_node(cluster: Cluster) -> None:
    answers = []
    with cluster.logs_on_failure():
        for server in cluster.servers:
            with server.client() as client:
                answers.append(
                    [comparable(reply) for reply in client.pipeline(*transcript(f"p{server.name}"))]
                )
    for number, replies in enumerate(zip(*answers, strict=True)):
        assert replies.count(replies[0]) == 3, (transcript("p")[number], replies)


def test_commands_of_one_connection_keep_their_order_while_the_leader_changes(cluster: Cluster) -> None:
    """A counter through a follower, in deep pipelines: every number once, in order, no error, while nodes restart."""
    key = key_of(1, of=3, name="order")
    with cluster.logs_on_failure():
        for _ in range(2):
            leader = cluster.leader(1)
            follower = cluster.others(leader)[0]
            replies: list[Any] = []
            first = int(follower.call("get", key) or 0)
            with Crew(partial(count, follower, key, replies)):
                counts_on(replies)
                assert leader.stop() == 0
                counts_on(replies)
                leader.start()
                cluster.wait_ready()
            assert replies == list(range(first + 1, first + 1 + len(replies)))


def counts_on(replies: list[Any]) -> None:
    """Wait until more is there than was."""
    before = len(replies)
    eventually(lambda: len(replies) > before + 100, "clients go on")


def count(server: Server, key: str, replies: list[Any], over: threading.Event) -> None:
    with server.client() as client:
        while not over.is_set():
            replies += client.pipeline(*[("incr", key)] * 50)


def test_optimistic_transactions_lose_and_repeat_nothing_across_failovers(cluster: Cluster) -> None:
    """WATCH, read, MULTI, write, EXEC from many clients through all nodes, while leaders are killed."""
    account, history = "{bank}account", "{bank}history"
    succeeded: list[int] = []
    unknown: list[int] = []
    surprises: list[Any] = []

    def work(server: Server, over: threading.Event) -> None:
        while not over.is_set():
            sent = False
            try:
                with server.client() as client:
                    while not over.is_set():
                        sent = False
                        watching, value = client.pipeline(("watch", account), ("get", account))
                        if isinstance(watching, hiredis.ReplyError) or isinstance(value, hiredis.ReplyError):
                            continue  # nothing was written
                        number = int(value or 0) + 1
                        sent = True
                        *_, reply = client.pipeline(
                            ("multi",), ("set", account, number), ("append", history, f"{number},"), ("exec",)
                        )
                        if isinstance(reply, list):
                            succeeded.append(number)
                        elif isinstance(reply, hiredis.ReplyError):
                            text = str(reply)
                            if text.startswith("UNKNOWN"):
                                unknown.append(number)
                            elif not text.startswith(("TRYAGAIN", "CLUSTERDOWN")):
                                surprises.append(text)
            except ConnectionLost:
                if sent:
                    unknown.append(number)
                time.sleep(0.02)

    with cluster.logs_on_failure():
        cluster.wait_ready()
        with Crew(*(partial(work, server) for server in cluster.servers * 2)):
            for group in (1, 2, 3):
                counts_on(succeeded)
                leader = cluster.leader(group)
                leader.kill()
                cluster.leader(group, among=cluster.others(leader))
                leader.start()
                cluster.wait_ready()
        assert not surprises, surprises[:5]
        assert len(set(succeeded)) == len(succeeded), (
            "two transactions saw the same value, and both succeeded"
        )
        log = [int(number) for number in cluster.servers[0].call("get", history).decode().split(",")[:-1]]
        assert log == list(range(1, len(log) + 1)), "a transaction was applied twice, or half"
        assert int(cluster.servers[0].call("get", account)) == len(log)
        assert set(succeeded) <= set(log)
        assert set(log) - set(succeeded) <= set(unknown)


def test_with_redirects_every_node_names_the_leader_and_only_the_leader_answers(tmp_path: Path) -> None:
    with Cluster(tmp_path, routing="redirect", raft=STEADY) as cluster:
        cluster.wait_spread()
        for group in cluster.group_numbers:
            key = key_of(group, of=3)
            leader = cluster.leader(group)
            for server in cluster.others(leader):
                reply = server.call("set", key, server.name)
                assert isinstance(reply, hiredis.ReplyError)
                code, slot, address = str(reply).split()
                assert (code, address) == ("MOVED", f"127.0.0.1:{leader.port}")
                assert int(slot) == server.call("cluster", "keyslot", key)
                with server.client() as client:  # whose key is not where it stands in most commands
                    script = ("eval", "return 1", 1, key)
                    assert str(client.call(*script)) == str(reply)
                    assert str(client.call("watch", key)) == str(reply)
                    client.call("multi")
                    assert str(client.call(*script)) == str(reply)
            assert leader.call("get", key) is None
            assert leader.call("set", key, "v") == b"OK"
        for server in cluster.servers:
            line = server.info("commandstats")["cmdstat_set"]
            assert line.startswith("calls=1,")
            assert line.endswith(",rejected_calls=2,failed_calls=0"), "who was redirected was not served"
            with server.client() as client:
                client.call("client", "tracking", "on")
                for group in cluster.group_numbers:
                    client.call("get", key_of(group, of=3))
                    client.call(
                        "eval_ro", "return redis.call('get', KEYS[1])", 1, key_of(group, of=3, name="s")
                    )
                keys = {group for group in cluster.group_numbers if cluster.leader(group) is server}
                tracked = int(server.info("stats")["tracking_total_keys"])
                assert tracked == 2 * len(keys), (
                    "what the client was not told is nothing that it may have cached"
                )

        def moved_to() -> str:
            reply = cluster.servers[1].call("set", key_of(1, of=3), "again")
            return str(reply).split()[2] if str(reply).startswith("MOVED") else ""

        gone = cluster.leader(1)
        assert gone is cluster.servers[0]
        gone.kill()
        eventually(
            lambda: moved_to() in ("", f"127.0.0.1:{cluster.servers[2].port}"), "another leader is named"
        )


def test_what_another_node_did_is_in_the_slow_log_of_its_client_s_node(cluster: Cluster) -> None:
    with cluster.logs_on_failure():
        server = cluster.servers[0]
        for each in cluster.servers:
            each.call("config", "set", "slowlog-log-slower-than", 0 if each is server else 10**9)
            each.call("slowlog", "reset")
        try:
            for group in cluster.group_numbers:
                key = key_of(group, of=3, name="slow")
                with server.client() as client, server.client() as waiting:
                    client.call("client", "setname", "slowpoke")
                    client.call("slowlog", "reset")
                    commands: list[Request] = [
                        ("rpush", key, "v"),
                        ("lmpop", 1, key, "left"),
                        ("eval", "return redis.call('lpush', KEYS[1], 1)", 1, key),
                        ("blpop", key, 0),
                    ]
                    for command in commands:
                        client.call(*command)
                    client.pipeline(("multi",), ("llen", key), ("lrange", key, 0, -1), ("exec",))
                    waiting.send(("blpop", key, 0))
                    eventually(
                        lambda: server.info("clients")["blocked_clients"] == "1" or None, "a client waits"
                    )
                    seen = [entry[3][0] for entry in client.call("slowlog", "get", -1)]
                    assert seen.count(b"blpop") == 1, "it is there when it was served"
                    client.call("rpush", key, "w")
                    assert waiting.receive() == [key.encode(), b"w"]
                    entries = [
                        entry for entry in client.call("slowlog", "get", -1) if key.encode() in entry[3]
                    ]
                    found = sorted(b" ".join(entry[3]) for entry in entries)
                    expected = [
                        *commands,
                        ("llen", key),
                        ("lrange", key, 0, -1),
                        commands[3],
                        ("rpush", key, "w"),
                    ]
                    assert found == sorted(" ".join(map(str, words)).encode() for words in expected)
                    assert {entry[5] for entry in entries} == {b"slowpoke", b""}
            for other in cluster.others(server):
                assert other.call("slowlog", "len") == 0
        finally:
            for each in cluster.servers:
                each.call("config", "set", "slowlog-log-slower-than", 10_000)


def test_a_forwarded_command_counts_where_its_client_is(cluster: Cluster) -> None:
    with cluster.logs_on_failure():
        for server in cluster.servers:
            server.call("config", "resetstat")
        asked, *others = cluster.servers
        for group in cluster.group_numbers:
            key = key_of(group, of=3, name="counted")
            assert asked.call("set", key, "v") == b"OK"
            assert str(asked.call("lpush", key, "v")).startswith("WRONGTYPE")
        groups = len(cluster.group_numbers)
        statistics = asked.info("commandstats")
        assert statistics["cmdstat_set"].startswith(f"calls={groups},")
        assert ",usec=0," not in statistics["cmdstat_set"]
        assert statistics["cmdstat_lpush"].endswith(f",rejected_calls=0,failed_calls={groups}")
        assert asked.info("errorstats")["errorstat_WRONGTYPE"] == f"count={groups}"
        for other in others:
            assert not {"cmdstat_set", "cmdstat_lpush"} & other.info("commandstats").keys()


def test_a_script_without_keys_runs_where_the_keys_are_that_it_touches(cluster: Cluster) -> None:
    function = "function(_, argv) return redis.call('incr', argv[1]) end"
    library = f"#!lua name=wander\nredis.register_function('bump', {function})"
    with cluster.logs_on_failure():
        assert cluster.servers[0].call("function", "load", "replace", library) == b"wander"
        keys = [key_of(group, of=3, name="wander") for group in cluster.group_numbers]
        for server in cluster.servers:
            for key in keys:
                server.call("del", key)
                text = f"local got = redis.pcall('get', '{key}') redis.call('incr', '{key}') return got"
                with server.client() as client:
                    replies = client.pipeline(
                        ("eval", text, 0),
                        ("get", key),
                        ("evalsha", hashlib.sha1(text.encode()).hexdigest(), 0),
                        ("fcall", "bump", 0, key),
                        ("fcall", "bump", 0, key),
                        ("get", key),
                        ("eval_ro", f"return redis.call('get', '{key}')", 0),
                    )
                assert replies == [None, b"1", b"1", 3, 4, b"4", b"4"], (server.name, key)
            both = f"redis.call('get', '{keys[1]}') return redis.pcall('get', '{keys[2]}')"
            assert str(server.call("eval", both, 0)).startswith("CROSSSLOT "), (
                "the keys of one script are in one group"
            )
            wrote = f"redis.call('set', '{keys[0]}', 'w') return redis.call('get', '{keys[1]}')"
            assert str(server.call("eval", wrote, 0)).startswith("CROSSSLOT "), "it can not begin anew"
            assert server.call("get", keys[0]) == b"w"
            statistics = server.info("commandstats")
            assert statistics["cmdstat_fcall"].endswith("failed_calls=0")


def test_what_is_about_all_comes_after_what_the_client_has_asked_before(cluster: Cluster) -> None:
    with cluster.logs_on_failure():
        for group in cluster.group_numbers:
            leader = cluster.leader(group)
            asked = cluster.others(leader)[0]
            key = key_of(group, of=3, name="told")
            with asked.client() as client, asked.client() as listener:
                assert client.call("set", key, "old") == b"OK"
                assert listener.call("subscribe", "news") == [b"subscribe", b"news", 1]
                leader.pause()
                try:
                    client.send(("set", key, "new"), ("publish", "news", key), ("get", key))
                    time.sleep(0.1)
                    assert listener.call("ping") == [b"pong", b""], "it is told of what was not done yet"
                finally:
                    leader.resume()
                assert client.receive() == b"OK"
                assert listener.receive() == [b"message", b"news", key.encode()]
                assert client.receive() == 1
                assert client.receive() == b"new"
