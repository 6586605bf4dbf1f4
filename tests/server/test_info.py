"""INFO: sections, their choice, and the fields that monitoring reads."""

import pytest

from server.commands.table import COMMANDS
from tests.server.service_node import ServiceNode, group_info

READ_BY_MONITORING = (
    "redis_version redis_mode os process_id run_id tcp_port uptime_in_seconds connected_clients "
    "blocked_clients maxclients client_recent_max_input_buffer used_memory used_memory_rss "
    "used_memory_peak used_memory_lua maxmemory mem_fragmentation_ratio mem_allocator loading "
    "rdb_changes_since_last_save rdb_bgsave_in_progress rdb_last_save_time rdb_last_bgsave_status "
    "rdb_last_bgsave_time_sec aof_enabled aof_rewrite_in_progress aof_last_bgrewrite_status "
    "aof_last_write_status total_connections_received total_commands_processed "
    "instantaneous_ops_per_sec total_net_input_bytes total_net_output_bytes rejected_connections "
    "sync_full expired_keys evicted_keys keyspace_hits keyspace_misses pubsub_channels "
    "pubsub_patterns latest_fork_usec total_error_replies role connected_slaves master_repl_offset "
    "repl_backlog_size used_cpu_sys used_cpu_user cluster_enabled "
)
"""Fields that redis_exporter, Datadog's agent or RedisInsight ask for by name."""


def titles(text: str) -> list[str]:
    return [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ")]


def fields(text: str) -> dict[str, str]:
    return dict(line.split(":", 1) for line in text.splitlines() if line and not line.startswith("#"))


@pytest.fixture
def node() -> ServiceNode:
    return ServiceNode()


async def test_monitoring_finds_its_fields(node: ServiceNode) -> None:
    found = fields(await node.text("INFO"))
    assert [name for name in READ_BY_MONITORING.split() if name not in found] == []


async def test_the_version_is_that_of_the_redis_whose_commands_it_has(node: ServiceNode) -> None:
    found = fields(await node.text("INFO", "server"))
    assert found["redis_version"] == "7.2.4"
    assert found["server_name"] == "redraft"
    assert found["redraft_version"]


async def test_sections_are_chosen_by_name(node: ServiceNode) -> None:
    assert titles(await node.text("INFO", "Keyspace")) == ["Keyspace"]
    assert titles(await node.text("INFO", "cpu", "server", "nosuch")) == ["Server", "CPU"]
    assert await node.text("INFO", "nosuch") == ""


async def test_a_bare_info_leaves_out_what_is_long(node: ServiceNode) -> None:
    bare, everything = titles(await node.text("INFO")), titles(await node.text("INFO", "everything"))
    assert titles(await node.text("INFO", "default")) == bare
    assert titles(await node.text("INFO", "all")) == everything
    assert set(everything) - set(bare) == {"Commandstats", "Latencystats", "Cluster Info"}
    assert "Raft" in bare
    assert titles(await node.text("INFO", "default", "commandstats")) == [
        title for title in everything if title in bare or title == "Commandstats"
    ]


async def test_sections_are_apart_by_an_empty_line(node: ServiceNode) -> None:
    text = await node.text("INFO", "modules", "cluster", "keyspace")
    assert text == "# Modules\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n# Keyspace\r\n"


async def test_keyspace_shows_the_databases_that_have_keys(node: ServiceNode) -> None:
    node.databases = [(3, 1), (0, 0), (7, 0), *[(0, 0)] * 13]
    assert fields(await node.text("INFO", "keyspace")) == {
        "db0": "keys=3,expires=1,avg_ttl=0",
        "db2": "keys=7,expires=0,avg_ttl=0",
    }


async def test_commands_are_counted_until_resetstat(node: ServiceNode) -> None:
    row = COMMANDS[b"lolwut"]
    row.calls, row.elapsed_ns, row.failed_calls = 4, 10_000, 1
    node.stats.error_counts[b"ERR"] = 5
    row.buckets[2] = 1
    found = fields(await node.text("INFO", "commandstats", "errorstats", "latencystats"))
    assert found["cmdstat_lolwut"] == "calls=4,usec=10,usec_per_call=2.50,rejected_calls=0,failed_calls=1"
    assert found["errorstat_ERR"] == "count=5"
    assert found["latency_percentiles_usec_lolwut"] == "p50=4.000,p99=4.000,p99.9=4.000"
    await node.run("CONFIG", "RESETSTAT")
    assert fields(await node.text("INFO", "commandstats", "errorstats", "latencystats")) == {}


async def test_raft_has_a_line_per_node_and_group() -> None:
    node = ServiceNode(nodes=3)
    node.connected = [2]
    node.infos = [
        group_info(0, 1),
        group_info(
            1,
            1,
            peers=((1, 10, 11, "replicate"), (2, 10, 11, "replicate"), (3, 4, 5, "probe")),
            voters=(1, 2),
            learners=(3,),
        ),
        group_info(2, 2, commit=10, applied=8),
        group_info(3, 0),
        group_info(4, 3),
    ]
    found = fields(await node.text("INFO", "raft"))
    assert found["node1"] == "name=n1,host=127.0.0.1,port=7001,peer_port=17001,link=self"
    assert found["node2"].endswith("link=up")
    assert found["node3"].endswith("link=down")
    assert found["group1"] == (
        "role=leader,leader=n1,term=3,first=1,last=10,commit=10,applied=10,log_bytes=100,lag=6,slots=0-4095,"
        "replicas=n1+n2+n3,uncommitted_bytes=0,lease=1,voters=n1+n2,learners=n3"
    )
    assert (
        "role=follower,leader=n2,term=4,first=1,last=10,commit=10,applied=8,log_bytes=100,lag=2"
        in found["group2"]
    )
    assert found["group3"].startswith("role=follower,leader=,")
    assert ",slots=," in found["group0"]
    assert (found["raft_groups_led"], found["raft_groups_without_leader"]) == ("1", "1")


async def test_followers_of_what_this_node_leads_are_its_replicas() -> None:
    node = ServiceNode(nodes=3)
    node.connected = [2]
    found = fields(await node.text("INFO", "replication"))
    assert found["connected_slaves"] == "2"
    assert found["slave0"] == "ip=127.0.0.1,port=7002,state=online,offset=40,lag=0,entries_behind=0"
    assert "state=wait_bgsave" in found["slave1"]
    assert found["master_repl_offset"] == "50"


async def test_a_pause_shows(node: ServiceNode) -> None:
    await node.run("CLIENT", "PAUSE", "100000")
    found = fields(await node.text("INFO", "clients"))
    assert found["paused_reason"] == "client_pause"
    assert 0 < int(found["paused_timeout_milliseconds"]) <= 100000


def test_rates_are_the_mean_of_the_last_samples(node: ServiceNode) -> None:
    node.rates.sample(0.0, node.stats)
    assert node.rates.commands_per_s == 0
    node.stats.commands_processed, node.stats.net_input_bytes = 500, 10240
    node.rates.sample(0.5, node.stats)
    assert (node.rates.commands_per_s, node.rates.input_kib_per_s) == (1000, 20.0)
    node.stats.reset()
    node.rates.sample(1.0, node.stats)
    assert node.rates.commands_per_s == 0
