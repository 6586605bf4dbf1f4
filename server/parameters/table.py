"""The runtime parameters that CONFIG GET and SET know: Redis's names, kinds, ranges and error texts, in one table.

Clients, monitoring and test suites set many parameters that mean nothing to this server (there is no fork, no
append-only file to tune). All of them are accepted, checked, remembered and reported as Valkey 9.1 does, since a
refusal would break programs that have no quarrel with us. A parameter that *acts* names the `attribute` of Settings
that it becomes, or is `tried`: told to the system, which may refuse it (`Settings.before_change`). All others are only
remembered. What can not change while the server runs is immutable, and so is what would promise a thing
that is not there (TLS, replication by hand).

To add a parameter: one row in PARAMETERS; if it acts, an attribute, and its annotation in Settings.
"""

from dataclasses import dataclass
from typing import Any

from server.parameters.kinds import (
    INT_MAX,
    INT_MIN,
    LONG_MAX,
    UINT_MAX,
    Choice,
    EventClasses,
    Kind,
    Number,
    OutputLimits,
    Percentiles,
    SavePoints,
    Size,
    Text,
    YesNo,
    check_address_name,
    check_hostname,
    check_ipv4,
    check_ipv6,
    check_locale,
    check_node_name,
    check_oom_values,
    check_process_title,
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One row."""

    name: str
    kind: Kind
    default: str
    aliases: tuple[str, ...] = ()
    """Older names, which work and are listed as well."""
    attribute: str = ""
    """The attribute of Settings that follows it; empty: there is none."""
    tried: bool = False
    """The system is told of a new value before it is taken, and may refuse it: Settings.before_change."""
    mutable: bool = True
    hidden: bool = False
    """Reported only when asked for by its exact name."""
    secret: bool = False
    """Its value is redacted in SLOWLOG and MONITOR."""
    protected: bool = False
    """Refused as one that an intruder could do harm with."""

    @property
    def acts(self) -> bool:
        """Whether changing it changes what the server does."""
        return bool(self.attribute) or self.tried


def _yes_no(name: str, default: str, *aliases: str, **more: Any) -> Parameter:
    return Parameter(name, YesNo(), default, aliases, **more)


def _number(name: str, default: int, low: int, high: int, *aliases: str, **more: Any) -> Parameter:
    clamp = more.pop("clamp", None)
    return Parameter(name, Number(low, high, clamp), str(default), aliases, **more)


def _size(name: str, default: int, low: int, *aliases: str, **more: Any) -> Parameter:
    kind = Size(low, more.pop("high", LONG_MAX), more.pop("percent", False), at_least=more.pop("at_least", 0))
    return Parameter(name, kind, str(default), aliases, **more)


def _choice(name: str, default: str, words: str, **more: Any) -> Parameter:
    kind = Choice(
        tuple(words.encode().split()), more.pop("several", False), more.pop("clash", (frozenset(), ""))
    )
    return Parameter(name, kind, default, **more)


def _text(name: str, default: str = "", *aliases: str, **more: Any) -> Parameter:
    return Parameter(name, Text(more.pop("check", None)), default, aliases, **more)


def _fixed(name: str, default: str = "", *aliases: str, **more: Any) -> Parameter:
    """Can not be set while the server runs."""
    return Parameter(name, Text(), default, aliases, mutable=False, **more)


_SHUTDOWN_CLASH = (
    frozenset((b"save", b"nosave")),
    "shutdown options SAVE and NOSAVE can't be used simultaneously",
)
_SHUTDOWN = "default save nosave now force safe failover"

ACTING = (
    _choice("loglevel", "notice", "debug verbose notice warning nothing", attribute="log_level"),
    _yes_no("latency-tracking", "yes", attribute="latency_tracking"),
    _yes_no("extended-redis-compatibility", "no", attribute="extended_compatibility"),
    _number("hz", 10, 0, INT_MAX, clamp=(1, 500), attribute="hz"),
    _number("latency-monitor-threshold", 0, 0, LONG_MAX, attribute="latency_monitor_threshold"),
    _number("maxclients", 10000, 1, UINT_MAX, attribute="maxclients"),
    _size("maxmemory", 0, 0, high=2**64 - 1, attribute="maxmemory_bytes"),
    _size("maxmemory-clients", 0, 0, percent=True, attribute="maxmemory_clients"),
    _choice("maxmemory-policy", "noeviction",
            "volatile-lru volatile-lfu volatile-random volatile-ttl allkeys-lru allkeys-lfu allkeys-random noeviction",
            attribute="maxmemory_policy"),
    _number("min-replicas-max-lag", 10, 0, INT_MAX, "min-slaves-max-lag", attribute="min_replicas_max_lag_s"),
    _number("min-replicas-to-write", 0, 0, INT_MAX, "min-slaves-to-write", attribute="min_replicas_to_write"),
    _number("slowlog-log-slower-than", 10000, -1, LONG_MAX, "commandlog-execution-slower-than",
            attribute="slowlog_log_slower_than"),
    _number("commandlog-large-reply-max-len", 128, 0, LONG_MAX, attribute="large_reply_max_len"),
    _number("commandlog-large-request-max-len", 128, 0, LONG_MAX, attribute="large_request_max_len"),
    _number("commandlog-reply-larger-than", 1048576, -1, LONG_MAX, attribute="reply_larger_than"),
    _number("commandlog-request-larger-than", 1048576, -1, LONG_MAX, attribute="request_larger_than"),
    _number("slowlog-max-len", 128, 0, LONG_MAX, "commandlog-slow-execution-max-len", attribute="slowlog_max_len"),
    _number("tcp-keepalive", 300, 0, INT_MAX, attribute="tcp_keepalive_s"),
    _number("timeout", 0, 0, INT_MAX, attribute="timeout_s"),
    _number("tracking-table-max-keys", 1000000, 0, LONG_MAX, attribute="tracking_table_keys_max"),
    _size("client-query-buffer-limit", 1 << 30, 1 << 20, attribute="client_query_buffer_limit"),
    _size("proto-max-bulk-len", 512 << 20, 1 << 20, attribute="proto_max_bulk_len"),
    _text("requirepass", attribute="requirepass", secret=True),
    Parameter("client-output-buffer-limit", OutputLimits(),
              "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", attribute="output_limits"),
    Parameter("notify-keyspace-events", EventClasses(), "", attribute="notify_keyspace_events"),
    Parameter("latency-tracking-info-percentiles", Percentiles(), "50 99 99.9",
              attribute="latency_tracking_info_percentiles"),
    _number("hash-max-listpack-entries", 512, 0, LONG_MAX, "hash-max-ziplist-entries",
            attribute="hash_max_listpack_entries"),
    _size("hash-max-listpack-value", 64, 0, "hash-max-ziplist-value", attribute="hash_max_listpack_value"),
    _number("list-max-listpack-size", -2, INT_MIN, INT_MAX, "list-max-ziplist-size",
            attribute="list_max_listpack_size"),
    _number("set-max-intset-entries", 512, 0, LONG_MAX, attribute="set_max_intset_entries"),
    _number("set-max-listpack-entries", 128, 0, LONG_MAX, attribute="set_max_listpack_entries"),
    _number("set-max-listpack-value", 64, 0, LONG_MAX, attribute="set_max_listpack_value"),
    _size("stream-node-max-bytes", 4096, 0, attribute="stream_node_max_bytes"),
    _number("stream-node-max-entries", 100, 0, LONG_MAX, attribute="stream_node_max_entries"),
    _number("zset-max-listpack-entries", 128, 0, LONG_MAX, "zset-max-ziplist-entries",
            attribute="zset_max_listpack_entries"),
    _size("zset-max-listpack-value", 64, 0, "zset-max-ziplist-value", attribute="zset_max_listpack_value"),
)  # fmt: skip

REMEMBERED = (
    _choice("acl-pubsub-default", "resetchannels", "allchannels resetchannels"),
    _number("acllog-max-len", 128, 0, LONG_MAX),
    _number("active-defrag-cycle-max", 25, 1, 99),
    _number("active-defrag-cycle-min", 1, 1, 99),
    _number("active-defrag-cycle-us", 500, 0, 100000),
    _size("active-defrag-ignore-bytes", 100 << 20, 1),
    _number("active-defrag-max-scan-fields", 1000, 1, LONG_MAX),
    _number("active-defrag-threshold-lower", 10, 0, 1000),
    _number("active-defrag-threshold-upper", 100, 0, 1000),
    _number("active-expire-effort", 1, 1, 10),
    _yes_no("activedefrag", "no"),
    _yes_no("activerehashing", "yes"),
    _yes_no("aof-disable-auto-gc", "no", hidden=True),
    _yes_no("aof-load-truncated", "yes"),
    _yes_no("aof-rewrite-incremental-fsync", "yes"),
    _yes_no("aof-timestamp-enabled", "no"),
    _yes_no("aof-use-rdb-preamble", "yes"),
    _choice("appendfsync", "always", "everysec always no"),
    _yes_no("appendonly", "yes"),
    _size("auto-aof-rewrite-min-size", 64 << 20, 0),
    _number("auto-aof-rewrite-percentage", 100, 0, INT_MAX),
    _text("availability-zone"),
    _number("busy-reply-threshold", 5000, 0, LONG_MAX, "lua-time-limit", attribute="busy_reply_threshold_ms"),
    _yes_no("cluster-allow-pubsubshard-when-down", "yes"),
    _yes_no("cluster-allow-reads-when-down", "no"),
    _yes_no("cluster-allow-replica-migration", "yes"),
    _number("cluster-announce-bus-port", 0, 0, 65535),
    _text("cluster-announce-client-ipv4", check=check_ipv4),
    _text("cluster-announce-client-ipv6", check=check_ipv6),
    _number("cluster-announce-client-port", 0, 0, 65535),
    _number("cluster-announce-client-tls-port", 0, 0, 65535),
    _text("cluster-announce-hostname", check=check_hostname),
    _text("cluster-announce-human-nodename", check=check_node_name),
    _text("cluster-announce-ip", check=check_address_name),
    _number("cluster-announce-port", 0, 0, 65535),
    _number("cluster-announce-tls-port", 0, 0, 65535),
    _number("cluster-blacklist-ttl", 60, -LONG_MAX, LONG_MAX),
    _choice("cluster-config-save-behavior", "sync", "sync best-effort"),
    _size("cluster-link-sendbuf-limit", 0, 0, high=2**64 - 1),
    _number("cluster-manual-failover-timeout", 5000, 1, INT_MAX),
    _number("cluster-migration-barrier", 1, 0, INT_MAX),
    _number("cluster-node-timeout", 15000, 0, LONG_MAX),
    _number("cluster-ping-interval", 0, 0, LONG_MAX, hidden=True),
    _choice("cluster-preferred-endpoint-type", "ip", "ip hostname unknown-endpoint"),
    _yes_no("cluster-replica-no-failover", "no", "cluster-slave-no-failover"),
    _number("cluster-replica-validity-factor", 10, 0, INT_MAX, "cluster-slave-validity-factor"),
    _yes_no("cluster-require-full-coverage", "yes"),
    _number("cluster-slot-migration-log-max-len", 1000, 0, LONG_MAX),
    _yes_no("cluster-slot-stats-enabled", "no"),
    _yes_no("crash-log-enabled", "yes"),
    _yes_no("crash-memcheck-enabled", "yes"),
    _text("debug-context", hidden=True),
    _yes_no("dual-channel-replication-enabled", "no"),
    _yes_no("dynamic-hz", "yes", hidden=True),
    _number("events-per-io-thread", 2, 0, INT_MAX, hidden=True),
    _yes_no("hide-user-data-from-log", "yes"),
    _size("hll-sparse-max-bytes", 3000, 0),
    _text("ignore-warnings"),
    _yes_no("import-mode", "no"),
    _number("io-threads", 1, 1, 256),
    _yes_no("io-threads-always-active", "no", hidden=True),
    _yes_no("io-threads-do-reads", "no", hidden=True),
    _yes_no("jemalloc-bg-thread", "yes"),
    _number("key-load-delay", 0, INT_MIN, INT_MAX, hidden=True),
    _yes_no("lazyfree-lazy-eviction", "yes"),
    _yes_no("lazyfree-lazy-expire", "yes"),
    _yes_no("lazyfree-lazy-server-del", "yes"),
    _yes_no("lazyfree-lazy-user-del", "yes"),
    _yes_no("lazyfree-lazy-user-flush", "yes"),
    _number("lfu-decay-time", 1, 0, INT_MAX),
    _number("lfu-log-factor", 10, 0, INT_MAX),
    _number("list-compress-depth", 0, 0, INT_MAX),
    _number("loading-process-events-interval-bytes", 2 << 20, 1024, INT_MAX, hidden=True),
    _text("locale-collate", check=check_locale),
    _choice("log-format", "legacy", "legacy logfmt json"),
    _choice("log-timestamp-format", "legacy", "legacy iso8601 milliseconds"),
    _number("max-new-connections-per-cycle", 10, 1, 1000),
    _number("max-new-tls-connections-per-cycle", 1, 1, 1000),
    _number("maxmemory-eviction-tenacity", 10, 0, 100),
    _number("maxmemory-samples", 5, 1, 64),
    _yes_no("no-appendfsync-on-rewrite", "no"),
    _choice("oom-score-adj", "no", "no yes relative absolute", tried=True),
    _text("oom-score-adj-values", "0 200 800", check=check_oom_values, tried=True),
    _number("prefetch-batch-max-size", 16, 0, 128),
    _text("primaryauth", "", "masterauth", secret=True),
    _text("primaryuser", "", "masteruser", secret=True),
    _text("proc-title-template", "{title} {listen-addr} {server-mode}", check=check_process_title),
    _choice("propagation-error-behavior", "ignore", "ignore panic panic-on-replicas"),
    _yes_no("protected-mode", "no"),
    _yes_no("rdb-del-sync-files", "no"),
    _number("rdb-key-save-delay", 0, INT_MIN, INT_MAX, hidden=True),
    _yes_no("rdb-save-incremental-fsync", "yes"),
    _choice("rdb-version-check", "strict", "strict relaxed"),
    _yes_no("rdbcompression", "yes"),
    _size("repl-backlog-size", 10 << 20, 1, at_least=16 << 10),
    _number("repl-backlog-ttl", 3600, 0, LONG_MAX),
    _yes_no("repl-disable-tcp-nodelay", "no"),
    _choice("repl-diskless-load", "disabled", "disabled on-empty-db swapdb flush-before-load"),
    _yes_no("repl-diskless-sync", "yes"),
    _number("repl-diskless-sync-delay", 5, 0, INT_MAX),
    _number("repl-diskless-sync-max-replicas", 0, 0, INT_MAX),
    _number("repl-ping-replica-period", 10, 1, INT_MAX, "repl-ping-slave-period"),
    _number("repl-timeout", 60, 1, INT_MAX),
    _text("replica-announce-ip", "", "slave-announce-ip"),
    _number("replica-announce-port", 0, 0, 65535, "slave-announce-port"),
    _yes_no("replica-announced", "yes"),
    _yes_no("replica-ignore-disk-write-errors", "no"),
    _yes_no("replica-ignore-maxmemory", "yes", "slave-ignore-maxmemory"),
    _yes_no("replica-lazy-flush", "yes", "slave-lazy-flush"),
    _number("replica-priority", 100, 0, INT_MAX, "slave-priority"),
    _yes_no("replica-read-only", "yes", "slave-read-only"),
    _yes_no("replica-serve-stale-data", "yes", "slave-serve-stale-data"),
    _choice("sanitize-dump-payload", "no", "no yes clients", hidden=True),
    Parameter("save", SavePoints(), ""),
    _choice("shutdown-on-sigint", "default", _SHUTDOWN, several=True, clash=_SHUTDOWN_CLASH),
    _choice("shutdown-on-sigterm", "default", _SHUTDOWN, several=True, clash=_SHUTDOWN_CLASH),
    _number("shutdown-timeout", 10, 0, INT_MAX),
    _size("slot-migration-max-failover-repl-bytes", 0, -1),
    _yes_no("stop-writes-on-bgsave-error", "yes"),
    _yes_no("use-exit-on-panic", "no", hidden=True),
    _number("watchdog-period", 0, 0, INT_MAX, hidden=True),
)  # fmt: skip

_FIXED_VALUES = {
    "always-show-logo": "no",
    "appenddirname": "appendonlydir",
    "appendfilename": "appendonly.aof",
    "cluster-config-file": "nodes.conf",
    "cluster-databases": "16",
    "cluster-enabled": "no",
    "cluster-port": "0",
    "daemonize": "no",
    "databases": "16",
    "disable-thp": "no",
    "enable-debug-assert": "no",
    "enable-debug-command": "yes",
    "enable-module-command": "no",
    "enable-protected-configs": "no",
    "mptcp": "no",
    "port": "6379",
    "rdbchecksum": "yes",
    "rdma-completion-vector": "-1",
    "rdma-port": "0",
    "rdma-rx-size": "1048576",
    "repl-mptcp": "no",
    "set-proc-title": "no",
    "socket-mark-id": "0",
    "supervised": "no",
    "syslog-enabled": "no",
    "syslog-facility": "local0",
    "syslog-ident": "redraft",
    "tcp-backlog": "511",
    "tls-auth-clients": "yes",
    "tls-auth-clients-user": "off",
    "tls-auto-reload-interval": "0",
    "tls-cluster": "no",
    "tls-port": "0",
    "tls-prefer-server-ciphers": "no",
    "tls-replication": "no",
    "tls-session-cache-size": "20480",
    "tls-session-cache-timeout": "300",
    "tls-session-caching": "yes",
    "unixsocketperm": "0",
}
"""Immutable ones and what they report."""

_FIXED_EMPTY = (
    "aclfile",
    "bind",
    "bind-source-addr",
    "hash-seed",
    "logfile",
    "pidfile",
    "rdma-bind",
    "tls-ca-cert-dir",
    "tls-ca-cert-file",
    "tls-cert-file",
    "tls-ciphers",
    "tls-ciphersuites",
    "tls-client-cert-file",
    "tls-client-key-file",
    "tls-client-key-file-pass",
    "tls-dh-params-file",
    "tls-key-file",
    "tls-key-file-pass",
    "tls-protocols",
    "unixsocket",
    "unixsocketgroup",
)

FIXED = (
    *(_fixed(name, value) for name, value in _FIXED_VALUES.items()),
    *(_fixed(name) for name in _FIXED_EMPTY),
    _fixed("aof-rewrite-cpulist", "", "aof_rewrite_cpulist"),
    _fixed("bgsave-cpulist", "", "bgsave_cpulist"),
    _fixed("bio-cpulist", "", "bio_cpulist"),
    _fixed("server-cpulist", "", "server_cpulist"),
    _fixed("replicaof", "", "slaveof"),
    _fixed("dbfilename", "dump.rdb", protected=True),
    _fixed("dir", protected=True),
)

PARAMETERS: tuple[Parameter, ...] = (*ACTING, *REMEMBERED, *FIXED)
"""Every parameter."""
