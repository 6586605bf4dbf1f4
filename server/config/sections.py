"""The tables of the configuration file, a class each: every setting with its default, unit, range and meaning.

The words here are the ones of conf/standalone.toml; a test holds the two together. What the settings must be in
relation to each other is checked in file.py.
"""

from dataclasses import dataclass

from server.config.reader import setting

_HOST = r"[A-Za-z0-9_.-]{1,255}|[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f.:]*(%[A-Za-z0-9_.-]+)?"
"""A name or an IPv4 address, which have no colon, or an IPv6 address, which has at least two."""


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """[nodes.NAME]: one node, as all nodes see it."""

    host: str = setting(
        "127.0.0.1",
        "",
        "Host name or address at which clients and the other nodes reach this node.",
        pattern=_HOST,
        pattern_words="a host name or an IP address, without port",
    )
    port: int = setting(6379, "", "TCP port for clients.", low=1, high=65535)
    peer_port: int = setting(
        16379,
        "",
        "TCP port for the other nodes; a standalone node does not open it."
        " When not given: port + 10000, or port - 10000 where that would be above 65535.",
        low=1,
        high=65535,
    )
    bind: str = setting(
        "127.0.0.1",
        "",
        'Address to listen on, for both ports; "0.0.0.0" is every IPv4 one, "::" every address.'
        " When not given: the host.",
        pattern=_HOST,
        pattern_words="a host name or an IP address, without port",
    )
    data: str = setting(
        "./redraft-data",
        "",
        "Directory of everything that this node keeps, made when missing; a relative one counts from the working"
        " directory. When not given: ./redraft-data, and ./redraft-data/NAME where there are several nodes.",
        pattern=r"[^\0]+",
        pattern_words="the path of a directory",
    )


@dataclass(frozen=True, slots=True)
class Clients:
    """[clients]: connections of clients, and what they may use."""

    requirepass: str = setting(
        "", "", "Password that clients must give with AUTH or HELLO; empty: none is asked for."
    )
    maxclients: int = setting(10_000, "", "Connections at a time.", low=1, high=1_000_000)
    timeout_s: int = setting(
        0, "seconds", "Close a connection that is idle for so long; 0: never.", low=0, high=2**31 - 1
    )
    tcp_keepalive_s: int = setting(
        300, "seconds", "Interval of TCP keepalive probes; 0: none.", low=0, high=2**31 - 1
    )
    output_buffer_mb: int = setting(
        0, "MiB", "Close a connection at once that has so much unread output; 0: never.", low=0, high=1 << 20
    )
    output_buffer_soft_mb: int = setting(
        0,
        "MiB",
        "Close a connection that has so much unread output for output_buffer_soft_s; 0: never.",
        low=0,
        high=1 << 20,
    )
    output_buffer_soft_s: int = setting(0, "seconds", "See output_buffer_soft_mb.", low=0, high=2**31 - 1)
    pubsub_buffer_mb: int = setting(
        32,
        "MiB",
        "The same as output_buffer_mb, for connections that subscribe to channels.",
        low=0,
        high=1 << 20,
    )
    pubsub_buffer_soft_mb: int = setting(
        8,
        "MiB",
        "The same as output_buffer_soft_mb, for connections that subscribe to channels.",
        low=0,
        high=1 << 20,
    )
    pubsub_buffer_soft_s: int = setting(60, "seconds", "See pubsub_buffer_soft_mb.", low=0, high=2**31 - 1)
    query_buffer_mb: int = setting(
        1024, "MiB", "Close a connection whose unfinished command has grown to so much.", low=1, high=1 << 20
    )
    proto_max_bulk_mb: int = setting(
        512, "MiB", "Size of one argument, and of a string value.", low=1, high=4095
    )


@dataclass(frozen=True, slots=True)
class Acl:
    """[acl]: users and what they may do."""

    file: str = setting(
        "",
        "",
        "File with a line for each user, as ACL LIST shows them; ACL LOAD reads it again and ACL SAVE writes it. Every"
        " node has its own, and all should say the same. Empty: none.",
    )
    users: str = setting(
        "",
        "",
        'The same lines, here instead of in a file, such as "user ann on >secret ~ann:* +@all". A default user among'
        " them takes the place of the one with requirepass.",
    )
    ignore_stored: bool = setting(
        False,
        "",
        "Users that were changed while the cluster ran (ACL SETUSER, CONFIG SET requirepass) stay as they were changed,"
        " whatever stands here. true: this node heeds only what stands here; for those who have locked themselves out.",
    )


@dataclass(frozen=True, slots=True)
class Raft:
    """[raft]: how the nodes agree, and what they keep for each other."""

    heartbeat_ms: int = setting(
        100, "milliseconds", "How often a leader tells its followers that it is there.", low=10, high=10_000
    )
    election_timeout_ms: int = setting(
        700,
        "milliseconds",
        "A follower that hears from no leader for this time, and up to half as long again, asks to be elected."
        " At least three times heartbeat_ms.",
        low=50,
        high=60_000,
    )
    lease_ms: int = setting(
        500,
        "milliseconds",
        "How long a leader may answer reads alone after a majority has confirmed it; used when reads is lease."
        " At most 90 % of election_timeout_ms less half of heartbeat_ms: the rest is room for clocks that drift.",
        low=1,
        high=60_000,
    )
    reads: str = setting(
        "lease",
        "",
        'How reads are made linearizable. "lease": the leader answers alone while its lease lasts; "quorum": it asks a'
        ' majority first, once for all reads of a moment; "stale": any replica answers, no older than stale_max_ms.',
        choices=("lease", "quorum", "stale"),
    )
    stale_max_ms: int = setting(
        1000,
        "milliseconds",
        "A replica that may lack what was committed longer ago refuses stale reads (READONLY, or reads = stale)."
        " More than twice heartbeat_ms.",
        low=1,
        high=3_600_000,
    )
    secret: str = setting(
        "",
        "",
        "Secret that all nodes of the cluster share and prove to each other when they connect; empty: none.",
    )
    secret_file: str = setting(
        "", "", "File with that secret, instead of secret; its surrounding white space is dropped."
    )
    leader_wait_ms: int = setting(
        5000,
        "milliseconds",
        "How long a command waits for its shard group to have a leader before CLUSTERDOWN.",
        low=0,
        high=600_000,
    )
    uncommitted_mb: int = setting(
        64,
        "MiB",
        "Writes of one shard group that may wait for a majority; more are refused with TRYAGAIN.",
        low=1,
        high=65_536,
    )
    log_retain_mb: int = setting(
        16,
        "MiB",
        "Log of each shard group that is kept for followers that fell behind; one further behind gets a snapshot.",
        low=1,
        high=1 << 20,
    )
    snapshot_mb_per_s: int = setting(
        64, "MiB per second", "Speed limit of the snapshots that a node sends.", low=1, high=65_536
    )

    @property
    def tick_s(self) -> float:
        """Raft's unit of time in seconds: half a heartbeat."""
        return self.heartbeat_ms / 2000

    @property
    def heartbeat_ticks(self) -> int:
        """heartbeat_ms in ticks."""
        return 2

    @property
    def election_ticks(self) -> int:
        """election_timeout_ms in ticks, rounded up."""
        return -(-2 * self.election_timeout_ms // self.heartbeat_ms)


@dataclass(frozen=True, slots=True)
class Storage:
    """[storage]: LevelDB and the disk."""

    block_cache_mb: int = setting(64, "MiB", "Memory for blocks of data that were read.", low=1, high=1 << 20)
    record_cache_keys: int = setting(
        200_000,
        "keys",
        "Keys whose small values a leader keeps at hand, of all shard groups together; some 300 bytes each.",
        low=0,
        high=1_000_000_000,
    )
    write_buffer_mb: int = setting(
        16,
        "MiB",
        "Memory that collects writes before they become a file; up to twice as much is in use.",
        low=1,
        high=4096,
    )
    compression: str = setting(
        "none",
        "",
        "How data is compressed on disk. Snappy takes half of the space and twice the processor time of a write.",
        choices=("none", "snappy"),
    )
    disk_free_min_mb: int = setting(
        256,
        "MiB",
        "With less free space on the disk of the data directory, writes are refused.",
        low=0,
        high=1 << 30,
    )


@dataclass(frozen=True, slots=True)
class Log:
    """[log]: what the node says on standard error."""

    level: str = setting(
        "info",
        "",
        "The least important lines that are written.",
        choices=("debug", "info", "warning", "error"),
    )
