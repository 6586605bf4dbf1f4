"""WAIT, SHUTDOWN, DEBUG, MEMORY, COMMAND and their like."""

from typing import Any

import hiredis
import pytest
import trio
import trio.testing

from resp.values import OK, Error, Members, Simple
from server.commands.command_command import open_commands
from server.keyspace.slots import key_slot
from tests.server.harness import Group
from tests.server.service_node import ServiceNode, group_info


@pytest.fixture
def node() -> ServiceNode:
    return ServiceNode()


def three(*infos: dict[str, Any]) -> ServiceNode:
    """A node of three with a group for each of `infos`: changes to a group that it leads."""
    node = ServiceNode(nodes=3)
    node.infos = [group_info(number, 1, **info) for number, info in enumerate(infos, 1)]
    return node


def peers(*matches: int) -> tuple[tuple[int, int, int, str], ...]:
    return tuple((number, match, match + 1, "replicate") for number, match in enumerate(matches, 1))


async def test_wait_counts_the_replicas_that_have_everything() -> None:
    assert await three({}, {}).run("WAIT", "0", "0") == 2
    assert await three({}, {"peers": peers(10, 10, 4)}).run("WAIT", "0", "0") == 1
    assert await ServiceNode().run("WAIT", "0", "0") == 0


async def test_of_groups_led_elsewhere_it_asks_the_leader(autojump_clock: trio.testing.MockClock) -> None:
    node = three({}, {})
    node.infos.append(group_info(3, 2))
    assert await node.run("WAIT", "1", "0") == 1  # so much is known
    assert node.asked == []
    node.answers[b"_matches"] = [10, 2]
    assert await node.run("WAIT", "2", "0") == 2
    assert node.asked == [(3, 0, [b"_matches", b"0"])]


async def test_what_others_write_meanwhile_is_not_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    node = three({"peers": peers(10, 10, 4)})
    node.infos.append(group_info(2, 2))
    node.answers[b"_matches"] = [7, 1]

    async def go_on() -> None:
        await trio.sleep(1)
        node.infos = [group_info(1, 1, commit=20, peers=peers(20, 20, 10)), group_info(2, 2)]
        node.answers[b"_matches"] = [7, 2]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(go_on)
        assert await node.run("WAIT", "2", "0") == 2
    assert [args for _, _, args in node.asked[:2]] == [[b"_matches", b"0"], [b"_matches", b"7"]]


async def test_a_leader_that_can_not_be_asked_counts_with_its_majority(
    autojump_clock: trio.testing.MockClock,
) -> None:
    node = three({})
    node.infos.append(group_info(2, 2))
    node.answers[b"_matches"] = hiredis.ReplyError("CLUSTERDOWN no leader")
    assert await node.run("WAIT", "2", "300") == 1


async def test_wait_returns_when_the_replica_has_caught_up(autojump_clock: trio.testing.MockClock) -> None:
    node = three({"peers": peers(10, 10, 4)})

    async def catch_up() -> None:
        await trio.sleep(1)
        node.infos = [group_info(1, 1)]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(catch_up)
        assert await node.run("WAIT", "2", "0") == 2
        assert trio.current_time() >= 1


async def test_wait_gives_up_in_time(autojump_clock: trio.testing.MockClock) -> None:
    started = trio.current_time()
    assert await ServiceNode().run("WAIT", "1", "1500") == 0
    assert trio.current_time() - started == pytest.approx(1.5)


async def test_waitaof_counts_this_nodes_disk_too() -> None:
    assert await three({}).run("WAITAOF", "1", "2", "0") == [1, 2]


async def test_role_is_master_at_what_was_applied(node: ServiceNode) -> None:
    assert await node.run("ROLE") == [b"master", 20, []]


async def test_shutdown_hands_over_unless_there_is_no_time(node: ServiceNode) -> None:
    await node.run("SHUTDOWN", "NOSAVE")
    await node.run("SHUTDOWN", "SAVE", "NOW", "FORCE")
    assert node.events == ["shutdown", "shutdown now"]
    for request in (["NOSUCH"], ["SAVE", "NOSAVE"], ["ABORT", "NOW"], ["ABORT"]):
        assert isinstance(await node.run("SHUTDOWN", *request), Error)
    assert len(node.events) == 2


async def test_save_returns_when_all_is_synced(node: ServiceNode) -> None:
    assert await node.run("SAVE") == OK
    assert await node.run("DEBUG", "RELOAD") == OK
    assert await node.run("DEBUG", "RELOAD", "NOSAVE", "noflush", "MERGE") == OK
    assert isinstance(await node.run("DEBUG", "RELOAD", "QUICKLY"), Error)
    assert node.events == ["synced", "synced", "synced"]
    assert await node.run("BGSAVE") == Simple(b"Background saving started")


@pytest.mark.parametrize(
    "request_", ["REPLICAOF host 1", "SLAVEOF host 1", "FAILOVER", "PSYNC ? -1", "SYNC", "MODULE LOAD /x.so"]
)
async def test_what_has_no_meaning_here_says_what_has(node: ServiceNode, request_: str) -> None:
    reply = await node.run(*request_.split())
    assert b" supported: " in reply.text
    assert b"INFO raft" in reply.text or b"COMMAND LIST" in reply.text


async def test_lolwut_is_as_large_as_asked_and_names_the_version(node: ServiceNode) -> None:
    lines = (await node.text("LOLWUT", "VERSION", "5", "30", "4")).splitlines()
    assert lines[-1].startswith("Redraft ver. ")
    assert [len(line) for line in lines[3:7]] == [30] * 4
    assert await node.text("LOLWUT")


async def test_debug_sleep_lets_others_go_on(
    node: ServiceNode, autojump_clock: trio.testing.MockClock
) -> None:
    done: list[str] = []

    async def sleep() -> None:
        await node.run("DEBUG", "SLEEP", "3")
        done.append("slept")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sleep)
        await trio.sleep(1)
        done.append("worked")
    assert done == ["worked", "slept"]


async def test_debug_switches_active_expiry(node: ServiceNode) -> None:
    await node.run("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    assert not node.active_expire
    await node.run("DEBUG", "SET-ACTIVE-EXPIRE", "1")
    assert node.active_expire


async def test_debug_object_asks_the_keys_leader() -> None:
    node = ServiceNode(nodes=3)
    node.answers[b"_debugobject"] = b"Value at:0x1"
    assert await node.run("DEBUG", "OBJECT", "key") == Simple(b"Value at:0x1")
    assert node.asked == [(node.topology.slot_groups[key_slot(b"key")], 0, [b"_debugobject", b"key"])]
    node.answers[b"_debugobject"] = hiredis.ReplyError("ERR no such key")
    assert await node.run("DEBUG", "OBJECT", "key") == Error(b"ERR no such key")


def test_debug_object_describes_a_value_where_it_lies() -> None:
    group = Group()
    group.run("SET", "key", "12")
    text = group.run("_DEBUGOBJECT", "key").text
    assert b" encoding:int " in text
    assert b" serializedlength:20 " in text
    assert group.run("_DEBUGOBJECT", "nosuch") == Error(b"ERR no such key")


@pytest.mark.parametrize("name", ["SEGFAULT", "PANIC", "ASSERT", "OOM", "RESTART", "CRASH-AND-RECOVER"])
async def test_debug_does_no_harm(node: ServiceNode, name: str) -> None:
    assert await node.run("DEBUG", name) == Error(
        b"ERR DEBUG %b is refused: it would harm the server or its data" % name.encode()
    )


async def test_debug_help_can_be_read(node: ServiceNode) -> None:
    assert (await node.run("DEBUG", "HELP"))[0].text.startswith(b"DEBUG <subcommand>")


async def test_memory_stats_count_keys_and_bytes(node: ServiceNode) -> None:
    node.databases = [(4, 0)] * 16
    stats = await node.run("MEMORY", "STATS")
    assert stats[b"keys.count"] == 64
    assert stats[b"keys.bytes-per-key"] == (1 << 20) // 64
    assert stats[b"total.allocated"] > 1 << 20
    assert await node.text("MEMORY", "DOCTOR")


async def test_config_rewrite_leaves_the_file_to_the_operator(node: ServiceNode) -> None:
    assert await node.run("CONFIG", "REWRITE") == Error(b"ERR The server is running without a config file")
    node.config_file = "/etc/redraft.toml"
    assert b"belongs to the operator" in (await node.run("CONFIG", "REWRITE")).text


# -- COMMAND --------------------------------------------------------------------------------------------------------


async def test_command_hides_what_is_internal(node: ServiceNode) -> None:
    everything = await node.run("COMMAND")
    assert await node.run("COMMAND", "COUNT") == len(everything) > 80
    names = await node.run("COMMAND", "LIST")
    assert sorted(name for name in names if b"|" not in name) == sorted(entry[0] for entry in everything)
    assert {b"config", b"config|get", b"client|list"} <= set(names)
    assert not [name for name in names if name.startswith(b"_")]
    assert await node.run("COMMAND", "INFO", "_debugobject", "nosuch") == [None, None]
    assert await node.run("COMMAND", "DOCS", "_debugobject") == {}


async def test_command_info_of_a_subcommand_is_asked_for_with_a_bar(node: ServiceNode) -> None:
    [entry] = await node.run("COMMAND", "INFO", "CONFIG|GET")
    assert entry[0] == b"config|get"
    [container] = await node.run("COMMAND", "INFO", "config")
    assert b"config|get" in [one[0] for one in container[9]]


async def test_command_info_says_where_the_keys_are(node: ServiceNode) -> None:
    [entry] = await node.run("COMMAND", "INFO", "bitop")
    assert entry[3:6] == [2, -1, 1]
    flags = [spec[b"flags"] for spec in entry[8]]
    assert flags == [
        Members([Simple(b"OW"), Simple(b"update")]),
        Members([Simple(b"RO"), Simple(b"access")]),
    ]
    assert [spec[b"find_keys"][b"spec"][b"lastkey"] for spec in entry[8]] == [0, -1]


async def test_command_docs_has_a_sentence_for_every_command(node: ServiceNode) -> None:
    docs = await node.run("COMMAND", "DOCS")
    assert len(docs) == sum(1 for _ in open_commands())
    for name, entry in docs.items():
        assert len(entry[b"summary"]) > 10, name
        assert entry[b"since"].count(b".") == 2, name
    assert docs[b"config"][b"subcommands"][b"config|get"][b"group"] == b"server"


async def test_command_list_can_be_filtered(node: ServiceNode) -> None:
    names = await node.run("COMMAND", "LIST", "FILTERBY", "ACLCAT", "bitmap")
    assert {b"setbit", b"bitop"} <= set(names)
    assert b"get" not in names
    assert await node.run("COMMAND", "LIST", "FILTERBY", "PATTERN", "SLOWLOG|*E*") == [
        b"slowlog|get",
        b"slowlog|len",
        b"slowlog|reset",
        b"slowlog|help",
    ]


async def test_command_getkeysandflags_tells_the_keys_of_one_request_apart(node: ServiceNode) -> None:
    read = Members([Simple(b"RO"), Simple(b"access")])
    assert await node.run("COMMAND", "GETKEYSANDFLAGS", "BITOP", "AND", "d", "a", "b") == [
        [b"d", Members([Simple(b"OW"), Simple(b"update")])],
        [b"a", read],
        [b"b", read],
    ]
    assert await node.run("COMMAND", "GETKEYS", "MSETEX", "2", "a", "1", "b", "2") == [b"a", b"b"]
