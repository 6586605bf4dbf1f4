"""Who leads what now, in the words of Redis Cluster: masters with slots, slaves of a master, shards.

In Redis Cluster a node is a master or a slave as a whole. Here it leads some groups and follows others. So:
the leader of a group is the master of its slots; a node that leads any group is a master; one that leads none
is a slave of the leader of the lowest group that it follows. A group whose leader this node does not know
counts as its preferred replica's when this node has no replica of it (it can not know better), and as
nobody's otherwise.
"""

from collections.abc import Iterable
from hashlib import sha1

from server.cluster.topology import SYSTEM_GROUP, Topology
from server.commands.context import GroupInfo


class Roles:
    """The nodes' roles at one moment, as this node sees them."""

    def __init__(self, topology: Topology, infos: Iterable[GroupInfo]) -> None:
        """`infos`: of every group, group 0 with or without."""
        self._topology = topology
        self.leaders: dict[int, int] = {}
        """Group with slots to the number of its leader; without those that have none."""
        self.epochs: dict[int, int] = dict.fromkeys(topology.nodes, 0)
        """Node to the highest term in which it leads."""
        self.current_epoch = 0
        for info in infos:
            self.current_epoch = max(self.current_epoch, info.term)
            leader = info.leader
            if not leader and info.role == "absent":
                leader = topology.groups[info.group].replicas[0]
            if leader:
                self.epochs[leader] = max(self.epochs[leader], info.term)
            if leader and info.group != SYSTEM_GROUP:
                self.leaders[info.group] = leader

    def slots(self, node: int) -> list[tuple[int, int]]:
        """The slot ranges (first, last) that `node` leads, in order, neighbours joined."""
        ranges: list[tuple[int, int]] = []
        for number in self._topology.data_groups:
            group = self._topology.groups[number]
            if self.leaders.get(number) != node or group.first_slot > group.last_slot:
                continue
            if ranges and ranges[-1][1] + 1 == group.first_slot:
                ranges[-1] = (ranges[-1][0], group.last_slot)
            else:
                ranges.append((group.first_slot, group.last_slot))
        return ranges

    def master_of(self, node: int) -> int | None:
        """The master that `node` is a slave of; None for a master, and for one whose groups have no leader."""
        if node in self.leaders.values():
            return None
        for number in self._topology.data_groups:
            if node in self._topology.groups[number].replicas and number in self.leaders:
                return self.leaders[number]
        return None

    def assigned_slots(self) -> int:
        """How many slots belong to a group that has a leader."""
        groups = self._topology.groups
        return sum(groups[number].last_slot - groups[number].first_slot + 1 for number in self.leaders)


def shard_id(cluster: str, group: int) -> str:
    """The 40 hex digits by which cluster clients know a shard group."""
    return sha1(f"redraft shard {group} of {cluster}".encode()).hexdigest()
