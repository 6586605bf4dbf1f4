"""Every setting of a node, from a TOML file or from the defaults.

One file serves every node of a cluster; `Config.node(name)` is the one that a process is. A file with one node, or no
file at all, is a standalone server, kept to the loopback interface. conf/standalone.toml shows each setting with its
unit and default, and a test keeps it in step with the sections.

Whatever is unknown, of the wrong type, out of range or impossible together with the rest is an error of `load`, all of
them at once. To add a setting: a field in sections.py, a mention in conf/standalone.toml, and, when it can
clash with others, a check in `_check`. What Redis calls by a name of its own and CONFIG SET can change goes into
[redis] (see server/parameters) and needs nothing here.
"""

import dataclasses
import os
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server.cluster.topology import NodeAddress, Topology
from server.config.reader import ConfigError, Problems, hint, read_section, rules_of, setting
from server.config.sections import Acl, Clients, Log, NodeConfig, Raft, Storage
from server.parameters.settings import PARAMETER

MIB = 1 << 20
STANDALONE = "standalone"
"""Name of the only node when the configuration names none."""
PEER_PORT_OFFSET = 10_000
"""As between Redis's client port and its cluster bus."""
NAME_PATTERN = "[A-Za-z0-9_.-]{1,64}"
NAME_WORDS = "1 to 64 letters, digits, dots, dashes or underscores"


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration. Made by `load`; everything in it is checked."""

    cluster: str = setting(
        "redraft",
        "",
        "Name of the cluster: nodes of differently named ones refuse each other.",
        pattern=NAME_PATTERN,
        pattern_words=NAME_WORDS,
    )
    groups: int = setting(
        1,
        "",
        "Number of shard groups among which the 16384 slots are divided. Fixed once there is data.",
        low=1,
        high=1024,
    )
    replicas: int = setting(
        1,
        "",
        "Nodes that keep a copy of each shard group; a majority of them must be up. When not given: 3, or as many as"
        " there are nodes. Fixed once there is data.",
        low=1,
        high=9,
    )
    routing: str = setting(
        "forward",
        "",
        'What a node does with a command for a shard group that another one leads. "forward": passes it on, so that any'
        ' client works with any node; "redirect": answers MOVED, for cluster clients.',
        choices=("forward", "redirect"),
    )
    nodes: dict[str, NodeConfig] = field(default_factory=lambda: {STANDALONE: NodeConfig()})
    """By name, in the order of the file, which also numbers them 1, 2, …"""
    clients: Clients = field(default_factory=Clients)
    acl: Acl = field(default_factory=Acl)
    raft: Raft = field(default_factory=Raft)
    storage: Storage = field(default_factory=Storage)
    log: Log = field(default_factory=Log)
    redis: dict[str, str] = field(default_factory=dict)
    """[redis]: parameters of CONFIG SET, by their canonical names."""
    source: str = ""
    """The file that it was read from, as it was named; empty for the defaults."""

    @property
    def clustered(self) -> bool:
        """Whether there are several nodes."""
        return len(self.nodes) > 1

    def node_name(self, name: str | None) -> str:
        """`name` when the configuration has such a node; for None the only node. Raises ConfigError."""
        where = self.source or "the default configuration"
        names = ", ".join(self.nodes)
        if name is None:
            if self.clustered:
                raise ConfigError(f"{where} has the nodes {names}: say with --node which one to run")
            return next(iter(self.nodes))
        if name not in self.nodes:
            raise ConfigError(f"{where} has no node {name}; it has {names}")
        return name

    def node(self, name: str | None) -> NodeConfig:
        """The node of that name; for None the only one. Raises ConfigError."""
        return self.nodes[self.node_name(name)]

    def with_overrides(
        self, name: str | None, *, port: int | None = None, data: str | None = None
    ) -> "Config":
        """A copy in which the node `name` has another client port (1 to 65535) or data directory; None: as it is.

        Raises ConfigError: the port of a cluster's node can not be changed for one process alone.
        """
        name = self.node_name(name)
        node = self.nodes[name]
        if port is not None:
            if self.clustered:
                raise ConfigError(
                    f"--port is for a standalone node: set nodes.{name}.port in {self.source} for all nodes"
                )
            if not 1 <= port <= 65535:
                raise ConfigError(f"--port {port}: must be 1 to 65535")
            node = dataclasses.replace(node, port=port, peer_port=peer_port_of(port))
        if data is not None:
            node = dataclasses.replace(node, data=data)
        return dataclasses.replace(self, nodes={**self.nodes, name: node})

    def topology(self, name: str | None) -> Topology:
        """Nodes, groups and slots as the node `name` (None: the only one) sees them. Raises ConfigError."""
        addresses = tuple(
            NodeAddress(number, node_name, node.host, node.port, node.peer_port)
            for number, (node_name, node) in enumerate(self.nodes.items(), start=1)
        )
        me = list(self.nodes).index(self.node_name(name)) + 1
        return Topology(self.cluster, me, addresses, self.groups, self.replicas, self.routing)

    def redis_parameters(self) -> dict[str, str]:
        """[clients] in Redis's names, and [redis]: what the table of CONFIG SET starts with."""
        return {**_client_parameters(self.clients), "aclfile": self.acl.file, **self.redis}


SECTIONS: dict[str, type[Any]] = {
    "clients": Clients,
    "acl": Acl,
    "raft": Raft,
    "storage": Storage,
    "log": Log,
}
"""The tables of fixed settings. [nodes.NAME] and [redis] have keys of the operator's choice."""

REDIS_NAMES = {
    "requirepass": ("requirepass",),
    "maxclients": ("maxclients",),
    "timeout": ("timeout_s",),
    "tcp-keepalive": ("tcp_keepalive_s",),
    "client-output-buffer-limit": (
        "output_buffer_mb",
        "output_buffer_soft_mb",
        "output_buffer_soft_s",
        "pubsub_buffer_mb",
        "pubsub_buffer_soft_mb",
        "pubsub_buffer_soft_s",
    ),
    "client-query-buffer-limit": ("query_buffer_mb",),
    "proto-max-bulk-len": ("proto_max_bulk_mb",),
}
"""Redis's name of a parameter to the settings of [clients] that say the same."""


def peer_port_of(port: int) -> int:
    """The peer port of a node that does not name one."""
    above = port + PEER_PORT_OFFSET
    return above if above <= 65535 else port - PEER_PORT_OFFSET


def load(path: str | os.PathLike[str] | None = None) -> Config:
    """Read and check the file at `path`; None: the defaults, a standalone node.

    Raises ConfigError with every problem that was found, a line each: file, line, key, what to do.
    """
    if path is None:
        return Config()
    source = os.fspath(path)
    text = _read(source)
    problems = Problems(source, text)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: this is not TOML: {error}") from error
    config = _config_of(document, source, problems)
    _check(config, document, problems)
    problems.raise_if_any()
    if config.raft.secret_file:
        config = dataclasses.replace(
            config, raft=dataclasses.replace(config.raft, secret=_secret(config.raft.secret_file))
        )
    return config


def check_data_directory(config: Config, name: str) -> None:
    """Raise ConfigError when the data directory of node `name` can neither be used nor made by this process."""
    data = Path(config.nodes[name].data)
    place = f"{config.source}: " if config.source else ""
    key = f"{place}nodes.{name}.data: "
    if not config.nodes[name].data:
        raise ConfigError(f"{key}there is no name: give a directory")
    existing = data.absolute()
    while not os.path.lexists(existing):
        existing = existing.parent
    if not existing.is_dir():
        raise ConfigError(f"{key}{existing} is not a directory, so {data} can not hold the data")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(f"{key}{existing} can not be written by this user, so {data} can not hold the data")


def _read(source: str) -> str:
    """The text of the file. Raises ConfigError."""
    try:
        return Path(source).read_text(encoding="utf-8-sig")  # some editors put a mark in front
    except OSError as error:
        raise ConfigError(f"{source}: can not be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source}: this is not TOML: byte {error.start} is no UTF-8") from error


def _config_of(document: dict[str, Any], source: str, problems: Problems) -> Config:
    """The document as a Config; what does not fit goes to `problems` and has its default."""
    top = {
        key: value for key, value in document.items() if key not in SECTIONS and key not in ("nodes", "redis")
    }
    for key in [key for key, value in top.items() if isinstance(value, dict)]:
        problems.add((key,), f"there is no such section{hint(key, [*SECTIONS, 'nodes', 'redis'])}")
        del top[key]
    nodes = _nodes_of(document.get("nodes", {}), problems)
    top.setdefault("replicas", min(3, len(nodes)))
    sections = {
        key: read_section(section, document.get(key, {}), (key,), problems, _homes())
        for key, section in SECTIONS.items()
    }
    base = read_section(Config, top, (), problems, _homes())
    redis = _redis_of(document.get("redis", {}), problems)
    return dataclasses.replace(base, nodes=nodes, redis=redis, source=source, **sections)


def _homes() -> dict[str, str]:
    """Every setting of a table, and the table. What stands in front of all tables needs no such help."""
    tables: dict[str, type[Any]] = {"nodes.NAME": NodeConfig, **SECTIONS}
    return {setting: f"[{table}]" for table, section in tables.items() for setting in rules_of(section)}


def _nodes_of(tables: object, problems: Problems) -> dict[str, NodeConfig]:
    """[nodes.*], with the defaults that depend on name, port and number of nodes."""
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        problems.add(
            ("nodes",), "every node has a table of its own: write [nodes.NAME] and its settings below"
        )
        return {STANDALONE: NodeConfig()}
    nodes = {}
    for name, table in tables.items():
        path = ("nodes", name)
        given = read_section(NodeConfig, table, path, problems, _homes())
        computed: dict[str, Any] = {
            "peer_port": peer_port_of(given.port),
            "bind": given.host,
            "data": f"./redraft-data/{name}" if len(tables) > 1 else "./redraft-data",
        }
        nodes[name] = dataclasses.replace(
            given, **{key: value for key, value in computed.items() if key not in table}
        )
    return nodes or {STANDALONE: NodeConfig()}


def _redis_of(table: object, problems: Problems) -> dict[str, str]:
    """[redis] as strings, each checked as CONFIG SET would."""
    if not isinstance(table, dict):
        problems.add(
            ("redis",), "must be a table: write [redis] on a line of its own and the parameters below it"
        )
        return {}
    parameters: dict[str, str] = {}
    for name, value in table.items():
        if isinstance(value, bool):
            text = "yes" if value else "no"
        elif isinstance(value, int | str):
            text = str(value)
        else:
            problems.add(("redis", name), "must be a string, a whole number, true or false")
            continue
        parameter = PARAMETER.get(name)
        if parameter is None:
            problems.add(
                ("redis", name),
                f"CONFIG SET knows no such parameter{hint(name, PARAMETER, all_of_them=False)}",
            )
        elif not parameter.mutable:
            problems.add(("redis", name), "is fixed in this server and can not be set")
        elif parameter.name in parameters:
            problems.add(("redis", name), f"is another name of {parameter.name}, which is given already")
        else:
            try:
                parameter.kind.parse(text.encode(), parameter.kind.parse(parameter.default.encode(), None))
            except ValueError as error:
                problems.add(("redis", name), f'"{text}" will not do: {error}')
            parameters[parameter.name] = text
    return parameters


def _check(config: Config, document: dict[str, Any], problems: Problems) -> None:
    """What can not be true together."""
    _check_nodes(config, problems)
    _check_times(config.raft, problems)
    if config.replicas > len(config.nodes):
        problems.add(
            ("replicas",),
            f"{config.replicas} copies need as many nodes, there are {len(config.nodes)}: {', '.join(config.nodes)}",
        )
    if config.raft.secret and config.raft.secret_file:
        problems.add(("raft", "secret_file"), "give the secret here or in raft.secret, not both")
    elif config.raft.secret_file:
        try:
            _secret(config.raft.secret_file)
        except ConfigError as error:
            problems.add(("raft", "secret_file"), str(error))
    if config.acl.file and config.acl.users:
        problems.add(("acl", "users"), "give the users here or in acl.file, not both")
    if config.clients.output_buffer_soft_mb and not config.clients.output_buffer_soft_s:
        problems.add(
            ("clients", "output_buffer_soft_mb"), "has no effect without output_buffer_soft_s: set that too"
        )
    given = document.get("clients", {})
    for name in config.redis:
        for ours in REDIS_NAMES.get(name, ()):
            if isinstance(given, dict) and ours in given:
                problems.add(("redis", name), f"says the same as clients.{ours}: give one of the two")


def _check_nodes(config: Config, problems: Problems) -> None:
    """Names, and that no two nodes want the same port or directory."""
    ports: dict[tuple[str, int], str] = {}
    directories: dict[tuple[str, str], str] = {}
    for name, node in config.nodes.items():
        path = ("nodes", name)
        if re.fullmatch(NAME_PATTERN, name) is None:
            problems.add(path, f"a node's name must be {NAME_WORDS}")
        for key, port in (("port", node.port), ("peer_port", node.peer_port)):
            mine = f"nodes.{name}.{key}"
            other = ports.setdefault((node.host, port), mine)
            if other != mine:
                problems.add((*path, key), f"{node.host}:{port} is already {other}: give each its own port")
        other = directories.setdefault((node.host, os.path.abspath(node.data)), name)
        if other != name:
            problems.add(
                (*path, "data"), f"{node.data} is already the directory of node {other}: give each its own"
            )
    if not config.clustered:
        return
    for name, node in config.nodes.items():
        if node.host in ("0.0.0.0", "::", "*"):
            problems.add(
                ("nodes", name, "host"),
                f"the other nodes can not reach {node.host}: put it into bind, and an address here",
            )


def _check_times(raft: Raft, problems: Problems) -> None:
    """The order in which Raft's times must stand to be safe."""
    if raft.election_timeout_ms < 3 * raft.heartbeat_ms:
        problems.add(
            ("raft", "election_timeout_ms"),
            f"{raft.election_timeout_ms} is less than three times heartbeat_ms ({raft.heartbeat_ms}):"
            " one lost heartbeat would cost a leader its office",
        )
    lease_max_ms = (2 * raft.election_timeout_ms - raft.heartbeat_ms) * 45 // 100
    if raft.lease_ms > lease_max_ms:
        problems.add(
            ("raft", "lease_ms"),
            f"{raft.lease_ms} is too long for an election_timeout_ms of {raft.election_timeout_ms}: two leaders could"
            f" answer at once; at most {lease_max_ms}",
        )
    if raft.stale_max_ms <= 2 * raft.heartbeat_ms:
        problems.add(
            ("raft", "stale_max_ms"),
            f"{raft.stale_max_ms} must be more than twice heartbeat_ms ({raft.heartbeat_ms})",
        )


def _secret(path: str) -> str:
    """The secret in the file at `path`. Raises ConfigError."""
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{path} can not be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text") from error
    if not secret:
        raise ConfigError(f"{path} is empty, it must hold the secret")
    return secret


def _client_parameters(clients: Clients) -> dict[str, str]:
    """[clients] by Redis's names, sizes in bytes."""
    normal = f"{clients.output_buffer_mb * MIB} {clients.output_buffer_soft_mb * MIB} {clients.output_buffer_soft_s}"
    pubsub = f"{clients.pubsub_buffer_mb * MIB} {clients.pubsub_buffer_soft_mb * MIB} {clients.pubsub_buffer_soft_s}"
    return {
        "requirepass": clients.requirepass,
        "maxclients": str(clients.maxclients),
        "timeout": str(clients.timeout_s),
        "tcp-keepalive": str(clients.tcp_keepalive_s),
        "client-output-buffer-limit": f"normal {normal} pubsub {pubsub}",
        "client-query-buffer-limit": str(clients.query_buffer_mb * MIB),
        "proto-max-bulk-len": str(clients.proto_max_bulk_mb * MIB),
    }
