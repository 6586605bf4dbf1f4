"""INFO's fields next to a real Valkey's: what monitoring reads there it finds here, but for what has no meaning."""

import time

import pytest

from tests.conformance.harness.servers import HOST, Server
from tests.conformance.harness.wire import Connection

patience_s = 20.0
COUNTED_BY_NAME = {"Commandstats", "Errorstats", "Latencystats", "Keyspace", "Modules"}
"""Sections with a field for each command, error or database that there has been."""
NO_SECTIONS = {"TLS", "Scripting Engines"}
"""There is no TLS, and Lua alone."""
ABSENT = {
    "valkey_version valkey_release_stage": "it is another server; redis_version says what it is compatible with",
    "clients_hz": "no timer goes through the clients",
    """allocator_muzzy used_memory_vm_total_human mem_overhead_db_hashtable_rehashing reply_buffer_shrinks
    reply_buffer_expands""": "of an allocator and tables that are not here",
    """mem_replicas_repl_buffer mem_cluster_slot_import mem_cluster_slot_export slot_migration_fork_in_progress
    total_net_cluster_slot_import_bytes total_net_cluster_slot_export_bytes""": "Raft replicates; slots stay",
    "expired_keys_with_volatile_items_stale_perc": "expiry goes by an index: nothing is stale",
    """io_threaded_freed_objects io_threaded_accept_processed io_threaded_poll_processed
    io_threaded_total_prefetch_batches io_threaded_total_prefetch_entries""": "one thread serves the clients",
    """used_active_time_main_thread eventloop_cycles eventloop_duration_sum eventloop_duration_cmd_sum
    instantaneous_eventloop_cycles_per_sec instantaneous_eventloop_duration_usec""": "turns are not timed",
}
"""Fields of Valkey that are not here, and why."""


def fields_of(server: Server) -> dict[str, dict[str, str]]:
    """Section to field to value."""
    found: dict[str, dict[str, str]] = {}
    with Connection(HOST, server.port) as connection:
        for line in connection.ask("INFO", "everything").value.decode().splitlines():
            if line.startswith("# "):
                section = found.setdefault(line[2:], {})
            elif line:
                name, _, value = line.partition(":")
                section[name] = value
    return found


def test_every_field_is_there_in_its_section(valkey: Server, standalone: Server) -> None:
    theirs, ours = fields_of(valkey), fields_of(standalone)
    assert set(theirs) - set(ours) == NO_SECTIONS
    missing = {
        name
        for section in set(theirs) - COUNTED_BY_NAME - NO_SECTIONS
        for name in set(theirs[section]) - set(ours[section])
    }
    assert missing == {name for names in ABSENT for name in names.split()}


@pytest.mark.parametrize("name", ["valkey", "standalone"])
def test_fields_of_hashes_that_expire_are_counted(name: str, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(name)

    def expired() -> int:
        return int(fields_of(server)["Stats"]["expired_fields"])

    before = expired()
    with Connection(HOST, server.port) as client:
        client.ask("HSET", "h", "a", "1", "b", "2", "c", "3")
        client.ask("HPEXPIRE", "h", "1", "FIELDS", "2", "a", "b")
        until_s = time.monotonic() + patience_s
        while expired() < before + 2 and time.monotonic() < until_s:
            time.sleep(0.01)
        assert client.ask("HKEYS", "h").value[0].value == b"c"
    assert expired() == before + 2
