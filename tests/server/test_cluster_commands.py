"""CLUSTER: leaders and groups in the words of Redis Cluster."""

import hiredis
import pytest

from resp.values import OK, Error
from server.cluster.roles import Roles
from server.cluster.topology import NodeAddress, Topology
from server.keyspace.slots import key_slot
from tests.server.service_node import ServiceNode, group_info

LEADERS = {0: 1, 1: 1, 2: 2, 3: 1, 4: 2}
"""Node 3 leads nothing."""


def cluster(me: int = 1, leaders: dict[int, int] = LEADERS) -> ServiceNode:
    node = ServiceNode(nodes=3, me=me)
    node.infos = [group_info(group, leader, me) for group, leader in leaders.items()]
    return node


def cluster_id(node: ServiceNode, number: int) -> str:
    return node.topology.nodes[number].cluster_id


async def test_nodes_lists_every_node_once_with_the_slots_it_leads() -> None:
    node = cluster()
    one, two, three = (cluster_id(node, number) for number in (1, 2, 3))
    assert (await node.text("CLUSTER", "NODES")).splitlines() == [
        f"{one} 127.0.0.1:7001@17001 myself,master - 0 0 5 connected 0-4095 8192-12287",
        f"{two} 127.0.0.1:7002@17002 master - 0 0 6 connected 4096-8191 12288-16383",
        f"{three} 127.0.0.1:7003@17003 slave {one} 0 0 5 connected",
    ]


async def test_neighbouring_groups_of_one_leader_are_one_range() -> None:
    node = cluster(leaders={0: 1, 1: 1, 2: 1, 3: 2, 4: 2})
    lines = (await node.text("CLUSTER", "NODES")).splitlines()
    assert [line.split(" ", 8)[8:] for line in lines] == [["0-8191"], ["8192-16383"], []]


async def test_all_nodes_tell_the_same_story() -> None:
    stories = set()
    for me in (1, 2, 3):
        text = await cluster(me).text("CLUSTER", "NODES")
        assert text.count("myself,") == 1
        stories.add(text.replace("myself,", ""))
    assert len(stories) == 1


async def test_a_node_that_can_not_be_reached_is_suspected() -> None:
    node = cluster()
    node.connected = [2]
    assert "slave,fail? " in await node.text("CLUSTER", "NODES")
    assert "disconnected" in await node.text("CLUSTER", "NODES")
    assert "cluster_nodes_pfail:1" in await node.text("CLUSTER", "INFO")


async def test_slots_name_the_leader_first_and_then_the_replicas_that_lead_nothing() -> None:
    """A client that reads from slaves takes each node for a master or a slave as a whole (ioredis, scaleReads)."""
    node = cluster()
    reply = await node.run("CLUSTER", "SLOTS")
    assert [entry[:2] for entry in reply] == [[0, 4095], [4096, 8191], [8192, 12287], [12288, 16383]]
    assert [[address[1] for address in entry[2:]] for entry in reply] == [
        [7001, 7003],
        [7002, 7003],
        [7001, 7003],
        [7002, 7003],
    ]
    assert reply[0][2] == [b"127.0.0.1", 7001, cluster_id(node, 1).encode(), []]


async def test_shards_are_the_groups() -> None:
    node = cluster()
    reply = await node.run("CLUSTER", "SHARDS")
    assert [shard[b"slots"] for shard in reply] == [[0, 4095], [4096, 8191], [8192, 12287], [12288, 16383]]
    roles = [{one[b"port"]: one[b"role"] for one in shard[b"nodes"]} for shard in reply]
    assert roles[1] == {7001: b"replica", 7002: b"master", 7003: b"replica"}
    assert all(one[b"health"] == b"online" for shard in reply for one in shard[b"nodes"])
    assert len({shard[b"id"] for shard in reply}) == 4


async def test_a_group_without_a_leader_leaves_its_slots_uncovered() -> None:
    node = cluster(leaders={0: 1, 1: 1, 2: 0, 3: 1, 4: 3})
    text = await node.text("CLUSTER", "INFO")
    assert "cluster_state:fail" in text
    assert "cluster_slots_ok:12288" in text
    assert len(await node.run("CLUSTER", "SLOTS")) == 3


async def test_the_state_is_ok_when_every_group_has_a_leader() -> None:
    text = await cluster().text("CLUSTER", "INFO")
    assert "cluster_state:ok\r\n" in text
    assert "cluster_slots_assigned:16384\r\n" in text
    assert "cluster_known_nodes:3\r\ncluster_size:2\r\n" in text


def test_a_group_that_is_not_held_here_is_thought_to_be_with_its_preferred_replica() -> None:
    addresses = tuple(NodeAddress(number, f"n{number}", "h", number, number + 10) for number in range(1, 5))
    topology = Topology("test", 1, addresses, 4, 3, "forward")
    absent = next(number for number in topology.data_groups if 1 not in topology.groups[number].replicas)
    infos = [
        group_info(group, 0 if group == absent else topology.groups[group].replicas[0],
                   role="absent" if group == absent else "follower")
        for group in topology.groups
    ]  # fmt: skip
    roles = Roles(topology, infos)
    assert roles.leaders[absent] == topology.groups[absent].replicas[0]
    assert roles.assigned_slots() == 16384


async def test_ids_are_stable_and_known() -> None:
    node = cluster(me=3)
    assert await node.run("CLUSTER", "MYID") == cluster_id(node, 3).encode()
    shards = {shard[b"id"] for shard in await node.run("CLUSTER", "SHARDS")}
    assert await node.run("CLUSTER", "MYSHARDID") in shards
    assert await cluster(me=3).run("CLUSTER", "MYSHARDID") == await node.run("CLUSTER", "MYSHARDID")


async def test_replicas_of_a_master() -> None:
    node = cluster()
    [line] = await node.run("CLUSTER", "REPLICAS", cluster_id(node, 1))
    assert line.startswith(cluster_id(node, 3).encode())
    assert await node.run("CLUSTER", "REPLICAS", cluster_id(node, 2)) == []
    assert await node.run("CLUSTER", "REPLICAS", cluster_id(node, 3)) == Error(
        b"ERR The specified node is not a master"
    )
    assert await node.run("CLUSTER", "SLAVES", "nosuch") == Error(b"ERR Unknown node nosuch")


async def test_questions_about_a_slot_go_to_its_leader() -> None:
    node = cluster()
    node.session.db = 3
    node.answers = {b"_countslot": 5, b"_slotkeys": [b"a", b"b"]}
    assert await node.run("CLUSTER", "COUNTKEYSINSLOT", "4096") == 5
    assert await node.run("CLUSTER", "GETKEYSINSLOT", "16383", "10") == [b"a", b"b"]
    assert node.asked == [(2, 3, [b"_countslot", b"4096"]), (4, 3, [b"_slotkeys", b"16383", b"10"])]
    node.answers = {b"_countslot": hiredis.ReplyError("CLUSTERDOWN no leader")}
    assert await node.run("CLUSTER", "COUNTKEYSINSLOT", "0") == Error(b"CLUSTERDOWN no leader")


async def test_flushslot_says_what_the_slots_group_refuses() -> None:
    node = cluster()
    node.answers = {b"_slotkeys": hiredis.ReplyError("CLUSTERDOWN no leader")}
    assert await node.run("CLUSTER", "FLUSHSLOT", "0") == Error(b"CLUSTERDOWN no leader")
    node.answers = {b"_slotkeys": [b"k"], b"DEL": hiredis.ReplyError("MISCONF no space")}
    assert await node.run("CLUSTER", "FLUSHSLOT", "0") == Error(b"MISCONF no space")


@pytest.mark.parametrize("slot", ["16384", "-1"])
async def test_slots_end_at_16383(slot: str) -> None:
    assert await cluster().run("CLUSTER", "COUNTKEYSINSLOT", slot) == Error(b"ERR Invalid slot")
    assert await cluster().run("CLUSTER", "GETKEYSINSLOT", slot, "1") == Error(
        b"ERR Invalid slot or number of keys"
    )


@pytest.mark.parametrize(
    "request_",
    [
        "MEET h 1",
        "FORGET id",
        "ADDSLOTS 1",
        "SETSLOT 1 STABLE",
        "FAILOVER",
        "REPLICATE id",
        "RESET",
        "BUMPEPOCH",
    ],
)
async def test_the_topology_can_not_be_changed_by_hand(request_: str) -> None:
    reply = await cluster().run("CLUSTER", *request_.split())
    assert reply.text.startswith(b"ERR CLUSTER %b is not supported: " % request_.split()[0].encode())


async def test_links_name_the_peers_in_both_directions() -> None:
    node = cluster()
    links = await node.run("CLUSTER", "LINKS")
    assert [(link[b"direction"], link[b"node"].decode()) for link in links] == [
        (b"to", cluster_id(node, 2)),
        (b"from", cluster_id(node, 2)),
        (b"to", cluster_id(node, 3)),
        (b"from", cluster_id(node, 3)),
    ]


async def test_a_node_alone_has_no_cluster_but_slots() -> None:
    node = ServiceNode()
    for request in ("INFO", "NODES", "SLOTS", "SHARDS", "MYID", "MYSHARDID", "LINKS", "HELP", "RESET"):
        assert await node.run("CLUSTER", request) == Error(b"ERR This instance has cluster support disabled")
    assert await node.run("CLUSTER", "KEYSLOT", "{tag}key") == key_slot(b"tag")
    assert await node.run("ASKING") == Error(b"ERR This instance has cluster support disabled")


async def test_readonly_readwrite_and_asking_are_the_sessions() -> None:
    node = cluster()
    assert (await node.run("READONLY"), node.session.readonly) == (OK, True)
    assert (await node.run("READWRITE"), node.session.readonly) == (OK, False)
    assert await node.run("ASKING") == OK
    assert node.session.asking
