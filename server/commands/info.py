"""INFO: what monitoring reads. One function per section, in `_SECTIONS`, in the order of the reply.

Fields keep Redis's names and units so that redis_exporter, Datadog and RedisInsight find them; those about things that
this server does not have (forks, evictions, a Lua heap) are there with the value that means "none". The section Raft
has a line per shard group. To add a section: a function from Context to fields, and a line in `_SECTIONS`.
"""

import os
import platform
import resource
import sys
from collections.abc import Callable, Iterable, Iterator
from time import time
from typing import Any, TypeAlias

from resp.values import Verbatim
from server.cluster.topology import SYSTEM_GROUP
from server.commands.cluster import cluster_state
from server.commands.context import Context, GroupInfo
from server.commands.server_misc import replication_offset
from server.commands.table import COMMANDS, LOADING, NODE, STALE, Args, Command, Reply, command
from server.telemetry.process import human_bytes, peak_resident_bytes, resident_bytes, total_memory_bytes
from server.version import BUILD, REDIS_VERSION, REDRAFT_VERSION, SERVER_NAME

Fields: TypeAlias = dict[str, Any]


def _sizes(**sizes: int) -> Fields:
    """Each size in bytes and again, as name_human, for people."""
    fields: Fields = {}
    for name, size_bytes in sizes.items():
        fields[name] = size_bytes
        fields[f"{name}_human"] = human_bytes(size_bytes)
    return fields


def _zeros(names: str) -> Fields:
    return dict.fromkeys(names.split(), 0)


def _server(context: Context) -> Fields:
    node = context.node
    now_s = time()
    uptime_s = max(int(now_s - node.started_s), 0)
    mode = "cluster" if node.topology.clustered else "standalone"
    hertz = node.settings.hz
    return {
        "redis_version": REDIS_VERSION,
        "server_name": SERVER_NAME,
        "redraft_version": REDRAFT_VERSION,
        "redraft_build": BUILD,
        "redis_git_sha1": "00000000",
        "redis_git_dirty": 0,
        "redis_build_id": "0",
        "redis_mode": mode,
        "server_mode": mode,
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "arch_bits": 64 if sys.maxsize > 2**32 else 32,
        "monotonic_clock": "POSIX clock_gettime",
        "multiplexing_api": "epoll",
        "gcc_version": "0.0.0",
        "python_version": platform.python_version(),
        "process_id": os.getpid(),
        "process_supervised": "no",
        "run_id": node.run_id,
        "tcp_port": node.topology.nodes[node.topology.me].port,
        "server_time_usec": int(now_s * 1_000_000),
        "uptime_in_seconds": uptime_s,
        "uptime_in_days": uptime_s // 86400,
        "hz": hertz,
        "configured_hz": hertz,
        "lru_clock": int(now_s) & 0xFFFFFF,
        "executable": sys.executable,
        "config_file": node.config_file,
        "io_threads_active": 0,
        "availability_zone": node.settings.shown("availability-zone").decode("latin-1"),
        "listener0": f"name=tcp,bind={node.topology.nodes[node.topology.me].host},"
        f"port={node.topology.nodes[node.topology.me].port}",
    }


def _clients(context: Context) -> Fields:
    node = context.node
    sessions = node.sessions.values()
    paused_ms = max(node.paused_until_ms() - int(time() * 1000), 0)
    return {
        "connected_clients": len(sessions),
        "cluster_connections": sum(1 for _ in node.links()),
        "maxclients": node.settings.maxclients,
        "client_recent_max_input_buffer": max((one.outlet.query_bytes for one in sessions), default=0),
        "client_recent_max_output_buffer": max((one.outlet.output_bytes for one in sessions), default=0),
        "blocked_clients": sum(1 for one in sessions if one.blocked is not None or one.paused),
        "tracking_clients": len(node.tracking.trackers),
        "pubsub_clients": sum(1 for one in sessions if one.subscriptions is not None),
        "watching_clients": sum(1 for one in sessions if one.watched),
        "clients_in_timeout_table": 0,
        "total_watched_keys": sum(len(one.watched or ()) for one in sessions),
        "total_blocking_keys": 0,
        "total_blocking_keys_on_nokey": 0,
        "paused_reason": "client_pause" if paused_ms else "none",
        "paused_actions": "all" if paused_ms else "none",
        "paused_timeout_milliseconds": paused_ms,
    }


def _memory(context: Context) -> Fields:
    node = context.node
    used, peak = resident_bytes(), peak_resident_bytes()
    limit = int(node.settings.value("maxmemory"))
    clients = sum(one.memory_bytes for one in node.sessions.values())
    infos = node.group_infos()
    return {
        **_sizes(used_memory=used, used_memory_rss=used, used_memory_peak=peak),
        "used_memory_peak_perc": f"{100 * used / max(peak, 1):.2f}%",
        **_zeros("used_memory_startup used_memory_dataset"),
        "used_memory_overhead": used,
        "used_memory_dataset_perc": "0.00%",
        "allocator_allocated": used,
        "allocator_active": used,
        "allocator_resident": used,
        **_sizes(total_system_memory=total_memory_bytes(), used_memory_lua=0, used_memory_scripts=0),
        **_zeros("used_memory_vm_eval used_memory_vm_functions used_memory_vm_total used_memory_functions"),
        "used_memory_scripts_eval": 0,
        "number_of_cached_scripts": node.cached_scripts(),
        "number_of_functions": node.functions.count(),
        "number_of_libraries": len(node.functions.libraries),
        **_sizes(maxmemory=limit),
        "maxmemory_policy": node.settings.shown("maxmemory-policy").decode(),
        "allocator_frag_ratio": "1.00",
        "allocator_frag_bytes": 0,
        "allocator_rss_ratio": "1.00",
        "allocator_rss_bytes": 0,
        "rss_overhead_ratio": "1.00",
        "rss_overhead_bytes": 0,
        "mem_fragmentation_ratio": "1.00",
        "mem_fragmentation_bytes": 0,
        "mem_not_counted_for_evict": 0,
        "mem_replication_backlog": sum(info.uncommitted_bytes for info in infos),
        "mem_total_replication_buffers": sum(waiting_bytes for _, _, waiting_bytes in node.links()),
        "mem_clients_slaves": 0,
        "mem_clients_normal": clients,
        "mem_cluster_links": sum(waiting_bytes for _, _, waiting_bytes in node.links()),
        "mem_aof_buffer": 0,
        "mem_allocator": "libc",
        "active_defrag_running": 0,
        "lazyfree_pending_objects": node.unswept_groups(),
        "lazyfreed_objects": node.stats.lazyfreed_objects,
    }


def _persistence(context: Context) -> Fields:
    node = context.node
    infos = node.group_infos()
    return {
        **_zeros("loading async_loading current_cow_peak current_cow_size current_cow_size_age"),
        "current_fork_perc": "0.00",
        **_zeros("current_save_keys_processed current_save_keys_total"),
        "rdb_changes_since_last_save": node.stats.unsaved_changes,
        "rdb_bgsave_in_progress": 0,
        "rdb_last_save_time": node.stats.saved_at_s,
        "rdb_last_bgsave_status": "ok",
        "rdb_last_bgsave_time_sec": -1,
        "rdb_current_bgsave_time_sec": -1,
        **_zeros("rdb_saves rdb_last_cow_size rdb_last_load_keys_expired rdb_last_load_keys_loaded"),
        "aof_enabled": 1,
        **_zeros("aof_rewrite_in_progress aof_rewrite_scheduled"),
        "aof_last_rewrite_time_sec": -1,
        "aof_current_rewrite_time_sec": -1,
        "aof_last_bgrewrite_status": "ok",
        **_zeros("aof_rewrites aof_rewrites_consecutive_failures"),
        "aof_last_write_status": "ok",
        "aof_last_cow_size": 0,
        "aof_current_size": sum(info.log_bytes for info in infos),
        "aof_base_size": 0,
        **_zeros("aof_pending_rewrite aof_buffer_length aof_pending_bio_fsync aof_delayed_fsync"),
        **_zeros("module_fork_in_progress module_fork_last_cow_size"),
        "disk_bytes": node.disk_bytes(),
    }


def _stats(context: Context) -> Fields:
    stats, rates = context.node.stats, context.node.rates
    channels, patterns, shard_channels = context.node.pubsub.subscribers
    return {
        "total_connections_received": stats.connections_received,
        "total_commands_processed": stats.commands_processed,
        "instantaneous_ops_per_sec": rates.commands_per_s,
        "total_net_input_bytes": stats.net_input_bytes,
        "total_net_output_bytes": stats.net_output_bytes,
        **_zeros("total_net_repl_input_bytes total_net_repl_output_bytes"),
        "instantaneous_input_kbps": f"{rates.input_kib_per_s:.2f}",
        "instantaneous_output_kbps": f"{rates.output_kib_per_s:.2f}",
        "instantaneous_input_repl_kbps": "0.00",
        "instantaneous_output_repl_kbps": "0.00",
        "rejected_connections": stats.rejected_connections,
        **_zeros("sync_full sync_partial_ok sync_partial_err"),
        "expired_keys": stats.expired_keys,
        "expired_fields": stats.expired_fields,
        "expired_stale_perc": "0.00",
        **_zeros("expired_time_cap_reached_count expire_cycle_cpu_milliseconds"),
        "evicted_keys": 0,
        "evicted_clients": stats.evicted_clients,
        "evicted_scripts": 0,
        **_zeros("total_eviction_exceeded_time current_eviction_exceeded_time"),
        "keyspace_hits": stats.keyspace_hits,
        "keyspace_misses": stats.keyspace_misses,
        "pubsub_channels": len(channels),
        "pubsub_patterns": len(patterns),
        "pubsubshard_channels": len(shard_channels),
        **_zeros("latest_fork_usec total_forks migrate_cached_sockets slave_expires_tracked_keys"),
        **_zeros("active_defrag_hits active_defrag_misses active_defrag_key_hits active_defrag_key_misses"),
        **_zeros("total_active_defrag_time current_active_defrag_time"),
        "tracking_total_keys": len(context.node.tracking.keys),
        "tracking_total_items": context.node.tracking.item_count,
        "tracking_total_prefixes": len(context.node.tracking.prefixes),
        "unexpected_error_replies": stats.unexpected_errors,
        "total_error_replies": stats.error_replies,
        **_zeros("dump_payload_sanitizations total_reads_processed total_writes_processed"),
        **_zeros("io_threaded_reads_processed io_threaded_writes_processed"),
        "client_query_buffer_limit_disconnections": stats.query_limit_disconnections,
        "client_output_buffer_limit_disconnections": stats.output_limit_disconnections,
        "forwarded_commands": stats.forwarded_commands,
        "evaluated_batches": stats.evaluated_batches,
        **{f"acl_access_denied_{what}": count for what, count in context.node.users.denied.items()},
    }


def _replicas(context: Context, infos: Iterable[GroupInfo]) -> dict[int, tuple[int, int]]:
    """Node to (sum of match indexes, how many entries it is behind), over the groups that this node leads."""
    found: dict[int, tuple[int, int]] = {}
    for info in infos:
        if info.role == "leader" and info.group != SYSTEM_GROUP:
            for number, match, _, _ in info.peers:
                if number != context.node.topology.me:
                    offset, lag = found.get(number, (0, 0))
                    found[number] = (offset + match, lag + max(info.commit - match, 0))
    return found


def _replication(context: Context) -> Fields:
    node = context.node
    infos = node.group_infos()
    replicas = _replicas(context, infos)
    online = node.reachable()
    fields: Fields = {"role": "master", "connected_slaves": len(replicas)}
    for position, (number, (offset, lag)) in enumerate(sorted(replicas.items())):
        address = node.topology.nodes[number]
        state = "online" if number in online else "wait_bgsave"
        fields[f"slave{position}"] = (
            f"ip={address.host},port={address.port},state={state},offset={offset},lag=0,entries_behind={lag}"
        )
    return {
        **fields,
        "replicas_waiting_psync": 0,
        "master_failover_state": "no-failover",
        "master_replid": node.run_id,
        "master_replid2": "0" * 40,
        "master_repl_offset": replication_offset(infos),
        "second_repl_offset": -1,
        "repl_backlog_active": 0,
        "repl_backlog_size": int(node.settings.value("repl-backlog-size")),
        "repl_backlog_first_byte_offset": 0,
        "repl_backlog_histlen": 0,
    }


def _cpu(context: Context) -> Fields:
    mine, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    loop = resource.getrusage(resource.RUSAGE_THREAD)
    return {
        "used_cpu_sys": f"{mine.ru_stime:.6f}",
        "used_cpu_user": f"{mine.ru_utime:.6f}",
        "used_cpu_sys_children": f"{children.ru_stime:.6f}",
        "used_cpu_user_children": f"{children.ru_utime:.6f}",
        "used_cpu_sys_main_thread": f"{loop.ru_stime:.6f}",
        "used_cpu_user_main_thread": f"{loop.ru_utime:.6f}",
    }


def _modules(context: Context) -> Fields:
    return {}


def _rows() -> Iterator[Command]:
    for row in COMMANDS.values():
        if row.open:
            yield row
            yield from row.subcommands.values()


def _commandstats(context: Context) -> Fields:
    return {
        f"cmdstat_{row.name}": f"calls={row.calls},usec={round(row.usec)},"
        f"usec_per_call={row.usec / max(row.calls, 1):.2f},"
        f"rejected_calls={row.rejected_calls},failed_calls={row.failed_calls}"
        for row in {id(row): row for row in _rows()}.values()
        if row.calls or row.rejected_calls or row.failed_calls
    }


def _errorstats(context: Context) -> Fields:
    counts = context.node.stats.error_counts
    return {f"errorstat_{code.decode('latin-1')}": f"count={count}" for code, count in sorted(counts.items())}


def _latencystats(context: Context) -> Fields:
    latency = context.node.latency
    percents = context.node.settings.latency_tracking_info_percentiles
    return {
        f"latency_percentiles_usec_{name}": ",".join(
            f"p{percent:g}={latency.percentile_us(name, percent):.3f}" for percent in percents
        )
        for name in latency.histograms
    }


def _cluster(context: Context) -> Fields:
    return {"cluster_enabled": int(context.node.topology.clustered)}


def _cluster_info(context: Context) -> Fields:
    return cluster_state(context) if context.node.topology.clustered else {}


def _keyspace(context: Context) -> Fields:
    return {
        f"db{number}": f"keys={keys},expires={expires},avg_ttl=0"
        for number, (keys, expires) in enumerate(context.node.keyspace())
        if keys
    }


def _raft(context: Context) -> Fields:
    """What `redraft status` reads too (server/operator/status.py)."""
    topology = context.node.topology
    infos = context.node.group_infos()
    connected = context.node.reachable()
    fields: Fields = {
        "raft_cluster": topology.cluster,
        "raft_node": topology.nodes[topology.me].name,
        "raft_node_number": topology.me,
        "raft_routing": topology.routing,
        "raft_nodes": len(topology.nodes),
        "raft_groups": len(topology.data_groups),
        "raft_groups_led": sum(info.role == "leader" for info in infos if info.group != SYSTEM_GROUP),
        "raft_groups_without_leader": sum(not info.leader and info.role != "absent" for info in infos),
    }
    for number, address in topology.nodes.items():
        link = "self" if number == topology.me else "up" if number in connected else "down"
        fields[f"node{number}"] = (
            f"name={address.name},host={address.host},port={address.port},peer_port={address.peer_port},link={link}"
        )
    for info in infos:
        group = topology.groups[info.group]
        leader = topology.nodes[info.leader].name if info.leader else ""
        slots = f"{group.first_slot}-{group.last_slot}" if group.first_slot <= group.last_slot else ""
        replicas, voters, learners = (
            "+".join(topology.nodes[number].name for number in numbers)
            for numbers in (group.replicas, info.voters, info.learners)
        )
        fields[f"group{info.group}"] = (
            f"role={info.role},leader={leader},term={info.term},first={info.first_index},last={info.last_index},"
            f"commit={info.commit},applied={info.applied},log_bytes={info.log_bytes},lag={_lag(info)},"
            f"slots={slots},replicas={replicas},uncommitted_bytes={info.uncommitted_bytes},lease={int(info.lease)},"
            f"voters={voters},learners={learners}"
        )
    return fields


def _lag(info: GroupInfo) -> int:
    """Entries: at the leader how far the slowest replica is behind its log, elsewhere what is not applied yet."""
    if info.role == "leader" and info.peers:
        return max(info.last_index - min(match for _, match, _, _ in info.peers), 0)
    return max(info.commit - info.applied, 0)


_SECTIONS: dict[str, tuple[str, Callable[[Context], Fields], bool]] = {
    "server": ("Server", _server, True),
    "clients": ("Clients", _clients, True),
    "memory": ("Memory", _memory, True),
    "persistence": ("Persistence", _persistence, True),
    "stats": ("Stats", _stats, True),
    "replication": ("Replication", _replication, True),
    "cpu": ("CPU", _cpu, True),
    "modules": ("Modules", _modules, True),
    "commandstats": ("Commandstats", _commandstats, False),
    "errorstats": ("Errorstats", _errorstats, True),
    "latencystats": ("Latencystats", _latencystats, False),
    "cluster": ("Cluster", _cluster, True),
    "cluster_info": ("Cluster Info", _cluster_info, False),
    "raft": ("Raft", _raft, True),
    "keyspace": ("Keyspace", _keyspace, True),
}
"""Name to title, function, and whether a bare INFO shows it."""


@command("info", arity=-1, flags=LOADING | STALE, where=NODE, group="server", categories="dangerous")
def info(context: Context, args: Args) -> Reply:
    """Returns information and statistics about the server."""
    wanted = {word.lower().decode("latin-1") for word in args[1:]} or {"default"}
    everything = bool(wanted & {"all", "everything"})
    defaults = "default" in wanted
    parts = [
        f"# {title}\r\n" + "".join(f"{name}:{value}\r\n" for name, value in function(context).items())
        for section, (title, function, shown_by_default) in _SECTIONS.items()
        if everything or section in wanted or (defaults and shown_by_default)
    ]
    return Verbatim("\r\n".join(parts).encode("utf-8", "surrogateescape"))
