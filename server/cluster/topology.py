"""Nodes, shard groups and slots, as the config file fixes them.

Group 0 holds no slots: it is the cluster's own, and every node has a replica of it (see state.py). Groups 1..N
divide the 16384 slots evenly, in order. Each of them has `replicas` of the nodes, laid round robin, and prefers the
first of them as its leader, so that leaderships spread.
"""

from dataclasses import dataclass
from hashlib import sha1

from server.keyspace.slots import SLOTS

SYSTEM_GROUP = 0


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """One node of the cluster."""

    number: int
    """1, 2, … in the order of the config file; what Raft calls the node."""
    name: str
    host: str
    """Where clients and peers reach it."""
    port: int
    """Client port."""
    peer_port: int
    """Port for the other nodes."""

    @property
    def cluster_id(self) -> str:
        """The 40 hex digits by which cluster clients know the node; follows from its name."""
        return sha1(b"redraft node " + self.name.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Group:
    """One shard group: a Raft log, a range of slots."""

    number: int
    first_slot: int
    last_slot: int
    """Inclusive; first_slot > last_slot: no slots."""
    replicas: tuple[int, ...]
    """Node numbers, the preferred leader first."""


class Topology:
    """The whole of it. `me` is the number of this node."""

    def __init__(
        self,
        cluster: str,
        me: int,
        nodes: tuple[NodeAddress, ...],
        group_count: int,
        replicas: int,
        routing: str,
    ) -> None:
        """`group_count`: 1 to 1024; `replicas`: 1 to len(nodes); `routing`: "forward" or "redirect"."""
        self.cluster = cluster
        self.me = me
        self.nodes = {node.number: node for node in nodes}
        self.routing = routing
        numbers = [node.number for node in nodes]

        def replicas_of(group: int) -> tuple[int, ...]:
            start = (group - 1) % len(numbers)
            return tuple((numbers[start:] + numbers[:start])[:replicas])

        self.groups = {SYSTEM_GROUP: Group(SYSTEM_GROUP, 0, -1, tuple(numbers))}
        for number in range(1, group_count + 1):
            first = (number - 1) * SLOTS // group_count
            last = number * SLOTS // group_count - 1
            self.groups[number] = Group(number, first, last, replicas_of(number))
        self.slot_groups: list[int] = [
            number
            for number in range(1, group_count + 1)
            for _ in range(self.groups[number].first_slot, self.groups[number].last_slot + 1)
        ]
        """Slot to group number."""
        self.data_groups: tuple[int, ...] = tuple(range(1, group_count + 1))

    @property
    def clustered(self) -> bool:
        """Whether there is more than one node."""
        return len(self.nodes) > 1
