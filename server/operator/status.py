"""`redraft status`: what the nodes of a cluster say about nodes, groups, leaders and logs.

One node is asked by INFO raft. Its answer names all nodes, which are asked at the same time then, each for its own
replicas; a node that does not answer is reported as that. The answers are put together here: who leads a group is what
the replica that leads in the highest term says, and a replica's lag is counted against that leader's log.

The `# Raft` section has, besides its head, lines that each list pairs:

    node2:name=n2,host=127.0.0.1,port=7002,peer_port=17002,link=up
    group1:role=follower,leader=n2,term=3,first=1,last=9,commit=9,applied=9,log_bytes=512,lag=0,slots=0-4095,replicas=n2+n1

and behind these voters=n2+n1,learners=: a leader's say which replicas are members. Pairs that are not known here are
ignored, so that nodes may say more.
"""

import socket
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import hiredis
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table

ANSWER_TIMEOUT_S = 3.0
"""How long a node may take to be connected to, and to answer."""
REPLY_BYTES_MAX = 8 << 20
"""More than any INFO raft: whatever sends more is no node of ours."""

TABLE_WIDTH_MIN = 110
"""Columns in which the tables have room."""


class StatusError(Exception):
    """The node could not be asked; the text says why, in one sentence."""


class RequestRefused(StatusError):
    """The node answered with an error, and `reply` is that."""

    def __init__(self, place: str, reply: str) -> None:
        remedy = ": give the password with --password" if reply.startswith("NOAUTH") else ""
        super().__init__(f"{place} refuses: {reply}{remedy}")
        self.reply = reply


@dataclass(slots=True)
class Replica:
    """One node's copy of a shard group, as that node reports it."""

    node: str
    role: str
    """leader, follower, candidate, precandidate or learner."""
    leader: str
    """Who leads, as far as this replica knows; empty: nobody."""
    term: int
    first: int
    """Oldest entry of its log."""
    last: int
    """Newest entry of its log."""
    commit: int
    applied: int
    log_bytes: int
    lag: int | None = None
    """Entries of the leader's log that are not applied here; None: the leader did not answer."""


@dataclass(slots=True)
class ShardGroup:
    """One shard group, put together from the replicas that answered."""

    group: int
    slots: str
    """`first-last`, empty for the group that holds the cluster's own state."""
    leader: str
    """Name of the node; empty: none is known."""
    term: int
    replicas: list[Replica]
    missing: list[str] = field(default_factory=list)
    """Nodes that have a replica and did not answer."""
    learners: list[str] = field(default_factory=list)
    """Nodes that the leader sends the data to and that have no say yet."""
    outsiders: list[str] = field(default_factory=list)
    """Nodes that should have a replica and are no members: they were taken out to be rebuilt."""

    @property
    def led(self) -> bool:
        """Whether a replica says that it leads in the newest term; `leader` may be what the others believe."""
        return any(replica.role == "leader" and replica.term == self.term for replica in self.replicas)

    def role_of(self, replica: Replica) -> str:
        """What a replica is for people; the leader knows best who is a member."""
        if replica.node in self.outsiders:
            return "no member"
        return "learner" if replica.node in self.learners else replica.role


@dataclass(slots=True)
class Node:
    """One node of the cluster."""

    number: int
    name: str
    host: str
    port: int
    error: str = ""
    """Why it did not answer; empty: it did."""


@dataclass(slots=True)
class ClusterStatus:
    """Everything that was found out."""

    cluster: str
    routing: str
    nodes: list[Node]
    groups: list[ShardGroup]

    def as_dict(self) -> dict[str, Any]:
        """The same in dicts and lists, for JSON."""
        return asdict(self)


def request(
    host: str, port: int, words: Sequence[str], password: str = "", timeout_s: float = ANSWER_TIMEOUT_S
) -> Any:
    """The reply of the node at `host`:`port` to the command `words`. Blocks for up to about `timeout_s`, once to
    connect and once for each packet of the answer. Raises StatusError, for an error reply too."""
    commands: list[Sequence[str]] = [("AUTH", password)] if password else []
    commands.append(words)
    place = f"{host}:{port}"
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as connection:
            connection.sendall(b"".join(_packed(command) for command in commands))
            replies = _replies(connection, len(commands), place)
    except TimeoutError:
        raise StatusError(f"{place} does not answer within {timeout_s:g} seconds") from None
    except OSError as error:
        raise StatusError(f"{place} can not be reached: {error.strerror or error}") from error
    for reply in replies:
        if isinstance(reply, hiredis.ReplyError):
            raise RequestRefused(place, str(reply))
    return replies[-1]


def ask(host: str, port: int, password: str = "", timeout_s: float = ANSWER_TIMEOUT_S) -> dict[str, str]:
    """The fields of INFO raft of the node at `host`:`port`. Blocks and raises as `request` does."""
    text = request(host, port, ("INFO", "raft"), password, timeout_s)
    if not isinstance(text, bytes) or b"raft_node:" not in text:
        raise StatusError(f"{host}:{port} is not a Redraft node: its INFO has no Raft section")
    lines = text.decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def cluster_status(
    host: str, port: int, password: str = "", timeout_s: float = ANSWER_TIMEOUT_S
) -> ClusterStatus:
    """Ask the node at `host`:`port`, and then all others that it names. Raises StatusError when that one can not be
    asked; others that can not are reported in the result."""
    fields = ask(host, port, password, timeout_s)
    try:
        me = fields["raft_node"]
        nodes = [
            Node(number, pairs["name"], pairs["host"], int(pairs["port"]))
            for number, pairs in _listed(fields, "node")
        ]
        answers = {me: fields}

        def ask_one(node: Node) -> None:
            try:
                answers[node.name] = ask(node.host, node.port, password, timeout_s)
            except StatusError as error:
                node.error = str(error)

        with ThreadPoolExecutor(max_workers=16) as threads:
            list(threads.map(ask_one, [node for node in nodes if node.name != me]))
        groups = _groups(answers, [node.name for node in nodes])
        return ClusterStatus(fields["raft_cluster"], fields["raft_routing"], nodes, groups)
    except (KeyError, ValueError) as error:
        raise StatusError(
            f"{host}:{port} speaks of Raft in a way that this version does not know: {error}"
        ) from error


def show(status: ClusterStatus, console: Console) -> None:
    """Print the tables of `status`, wider than a narrow `console`: a wrapped line says more than a cut one."""
    console.width = max(console.width, TABLE_WIDTH_MIN)
    console.print(_tables(status))


def _tables(status: ClusterStatus) -> RenderableType:
    """The status for a terminal: a table of nodes and one of groups and their replicas."""
    nodes = Table(
        title=f"cluster {status.cluster}, routing {status.routing}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for heading in ("#", "node", "address", "leads", "state"):
        nodes.add_column(heading, justify="right" if heading == "#" else "left")
    for node in status.nodes:
        leads = " ".join(str(group.group) for group in status.groups if group.leader == node.name)
        state = f"[red]{node.error}" if node.error else "[green]up"
        nodes.add_row(str(node.number), node.name, f"{node.host}:{node.port}", leads, state)
    groups = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in (
        "group",
        "slots",
        "leader",
        "term",
        "replica",
        "role",
        "log",
        "commit",
        "applied",
        "lag",
        "size",
    ):
        left = heading in ("slots", "leader", "replica", "role")
        groups.add_column(heading, justify="left" if left else "right", no_wrap=True)
    for group in status.groups:
        head = [str(group.group), group.slots or "(system)", group.leader or "[red]none", str(group.term)]
        for replica in group.replicas:
            lag = "?" if replica.lag is None else str(replica.lag)
            log = f"{replica.first}-{replica.last}"
            progress = [log, str(replica.commit), str(replica.applied), lag]
            role = group.role_of(replica)
            style = "[yellow]" if role in ("learner", "no member") else ""
            groups.add_row(*head, replica.node, style + role, *progress)
            head = [""] * 4
        for name in group.missing:
            lost = " (no member)" if name in group.outsiders else ""
            groups.add_row(*head, name, f"[red]no answer{lost}")
            head = [""] * 4
        groups.add_section()
    return Group(nodes, groups)


def _packed(words: Iterable[str]) -> bytes:
    """A request."""
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)


def _replies(connection: socket.socket, count: int, place: str) -> list[Any]:
    """The next `count` replies. Raises StatusError when they are none, OSError."""
    reader = hiredis.Reader()
    replies: list[Any] = []
    received_bytes = 0
    try:
        while len(replies) < count:
            reply = reader.gets()
            if reply is not False:
                replies.append(reply)
                continue
            chunk = connection.recv(65536)
            received_bytes += len(chunk)
            if not chunk or received_bytes > REPLY_BYTES_MAX:
                raise StatusError(
                    f"{place} closed the connection" if not chunk else f"{place} does not stop talking"
                )
            reader.feed(chunk)
    except hiredis.ProtocolError as error:
        raise StatusError(f"{place} does not speak the Redis protocol") from error
    return replies


def _listed(fields: Mapping[str, str], kind: str) -> Iterable[tuple[int, dict[str, str]]]:
    """Number and pairs of the fields `kind`N, by number."""
    found = []
    for name, value in fields.items():
        if name.startswith(kind) and name[len(kind) :].isdigit():
            pairs = dict(pair.split("=", 1) for pair in value.split(","))
            found.append((int(name[len(kind) :]), pairs))
    return sorted(found, key=lambda numbered: numbered[0])


def _names(joined: str) -> list[str]:
    """Names of nodes from a pair's value."""
    return joined.split("+") if joined else []


def _groups(answers: Mapping[str, Mapping[str, str]], names: Iterable[str]) -> list[ShardGroup]:
    """All groups that some answer speaks of; `names`: all nodes, in order."""
    groups: dict[int, ShardGroup] = {}
    homes: dict[int, list[str]] = {}
    for name in names:
        for number, pairs in _listed(answers.get(name, {}), "group"):
            group = groups.setdefault(number, ShardGroup(number, pairs["slots"], "", 0, []))
            homes[number] = pairs["replicas"].split("+")
            counts = {
                key: int(pairs[key]) for key in ("term", "first", "last", "commit", "applied", "log_bytes")
            }
            group.replicas.append(Replica(name, pairs["role"], pairs["leader"], **counts))
    for number, group in groups.items():
        group.missing = [name for name in homes[number] if name not in answers]
        group.term = max(replica.term for replica in group.replicas)
        newest = [replica for replica in group.replicas if replica.term == group.term]
        leading = [replica for replica in newest if replica.role == "leader"]
        if leading:
            group.leader = leading[0].node
            pairs = dict(_listed(answers[group.leader], "group"))[number]
            group.learners = _names(pairs.get("learners", ""))
            members = [*_names(pairs.get("voters", "")), *group.learners]
            group.outsiders = [name for name in homes[number] if members and name not in members]
            for replica in group.replicas:
                replica.lag = max(0, leading[0].last - replica.applied)
        else:
            group.leader = next((replica.leader for replica in newest if replica.leader), "")
    return [groups[number] for number in sorted(groups)]
