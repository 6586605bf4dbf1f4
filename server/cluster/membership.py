"""Who belongs to which shard group: what the config file wants comes about by itself, and a node whose data is
lost is taken out first.

Healing. The leader of a group adds a replica that the topology wants and that is no member as a learner, once
it is connected, and makes a learner that has caught up a voter (`heal`, every second or so; one change at a
time).

Rebuilding. `redraft rebuild` (server/operator/rebuild.py) leads a node's loss through on all other nodes:

    check    on each: may it be done?
    fence    on each: accept nobody in the node's name, synced, and close its links
    remove   on each, again and again: take the node out of the groups that are led here
    accept   on each: forget the node's old data directory, synced; the next one is accepted

Then the node starts empty, is connected, and is healed. Each step may be repeated, and a rebuild that was cut
short is done again from its beginning; meanwhile the node is only refused.

Why the node that lost its memory can do no harm
------------------------------------------------
It has promised things that it does not know any more: entries that it acknowledged, votes. So nobody may count
on it until it is a new member.

1. From its loss to `accept` it is heard by nobody: its new data directory is refused, and after `fence` on all
   nodes any directory is. So the entry R that removes it is acknowledged by a majority Q of the voters without
   it, and so is everything that is committed before R: the node is nothing but a voter that is down.
2. After `accept` its new directory speaks. A (pre-)vote or an acknowledgement counts only for members of the
   configuration in force at the one who counts (core: quorum.vote_result goes over the voters, on_append_response
   drops senders without Progress). Where R is applied it therefore does not count. Where R is not applied yet,
   a candidate needs besides it a majority of the old voters, and each such majority has somebody of Q in it, who
   has R and refuses whoever lacks R. A candidate that has R got it from the leader of R's term after the loss,
   so it stands in a later term, in which the node gave no vote before its loss that could make two winners: whoever
   was a candidate of that term then lacks R.
3. The node itself begins as every founding node does, with the members of the config file and a log that ends at
   the founding entry. As a candidate it is refused by all of Q likewise, and the old voters other than Q are too
   few for a majority even with its own vote. A pre-vote comes first, so it does not disturb anybody either.
4. What it is sent goes to its new disk. It is added with nothing known of its old log (a new Progress), so no
   commit index that counts on lost entries reaches it, and when it has caught up and is a voter again it has
   what it acknowledges.

All of it rests on a majority of the voters that has not lost its memory. When the disks of a majority of the nodes
are lost and replaced at once, the empty ones are a majority of founding nodes and begin anew; that is why a rebuild
refuses to leave a group that could not go on without the node. And it rests on the others' knowing the lost
directory: a node compares with what it met first, so one that was rebuilt itself while this one was away takes an
empty directory for the right one until it is told to fence it.
"""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Protocol

import msgspec

from raft.core import Change, ChangeKind, ConfChange, ConfState, RaftError, Role
from server.cluster.identity import PeerCheck
from server.cluster.topology import Topology

if TYPE_CHECKING:
    from raft.runtime.disk import Disk
    from raft.runtime.group import Group
    from raft.runtime.links import Links

promote_lag_max = 1000
"""Entries that a learner may lack and still be made a voter: they are there in a moment."""

FENCED = "fenced"
CONNECTED = "connected"
REFUSED = "refused"
ABSENT = "absent"


class Shard(Protocol):
    """What is needed of a group on this node; see server/shard/shard.py."""

    group: "Group"
    role: int
    ready: bool
    """Leads, and takes proposals."""

    def change_members(self, change: ConfChange) -> None:
        """Propose a membership change. Raises RaftError when it can not be now."""


class RebuildRefused(Exception):
    """It can not be done; the text says why."""


class GroupReport(msgspec.Struct, array_like=True):
    """One group as the replica of one node knows it."""

    group: int
    term: int
    leading: bool
    applied: int
    """Index up to which membership changes are in force here."""
    last_index: int
    members: list[int]
    """Voters (in a joint state old and new) and learners."""


class Report(msgspec.Struct, array_like=True):
    """How a node that is to be rebuilt, or is being rebuilt, looks from another one."""

    cluster: str
    node: str
    """Who reports."""
    peer: str
    """fenced: accepted under no data directory; connected; refused: it came with another data directory; absent."""
    groups: list[GroupReport]
    """Of which the reporting node has a replica."""


class Membership:
    """Of all groups on this node. Everything is for the loop's thread."""

    def __init__(
        self,
        topology: Topology,
        shards: Mapping[int, Shard],
        links: "Links",
        peers: PeerCheck,
        disk: "Disk",
    ) -> None:
        """`disk`: the thread that owns the log store's writes."""
        self._topology = topology
        self._shards = shards
        self._links = links
        self._peers = peers
        self._disk = disk

    # -- healing ---------------------------------------------------------------------------------------------

    def heal(self) -> None:
        """In each group led here, start the next step towards the members that the topology wants."""
        for number, shard in self._shards.items():
            if shard.ready:
                change = self._due(number, shard)
                if change is not None:
                    _propose(shard, change)

    def _due(self, number: int, shard: Shard) -> Change | None:
        conf = shard.group.conf
        if conf.voters_outgoing:
            return None
        for replica in self._topology.groups[number].replicas:
            if replica in conf.learners:
                if _caught_up(shard, replica):
                    return Change(ChangeKind.ADD_VOTER, replica)
            elif (
                replica not in conf.voters
                and self._links.connected(replica)
                and not self._peers.fenced(replica)
            ):
                return Change(ChangeKind.ADD_LEARNER, replica)
        return None

    # -- rebuilding ------------------------------------------------------------------------------------------

    def check(self, peer: int) -> Report:
        """How node `peer` looks from here. Raises RebuildRefused when it must not be rebuilt."""
        name = self._topology.nodes[peer].name
        if peer == self._topology.me:
            raise RebuildRefused(f"this is node {name}: the others rebuild it, ask them")
        alone = [group.number for group in self._topology.groups.values() if group.replicas == (peer,)]
        if alone:
            raise RebuildRefused(
                f"node {name} has the only replica of shard group {alone[0]}: nobody else has the data, only a"
                " backup can help"
            )
        for number, shard in self._shards.items():
            voters = shard.group.conf.voters
            if peer in voters and 2 * (len(voters) - 1) <= len(voters):
                others = [self._topology.nodes[voter].name for voter in voters if voter != peer]
                raise RebuildRefused(
                    f"shard group {number} has {len(voters)} voters, and without {name}"
                    f" {' and '.join(others) or 'nobody'} would be no majority: bring {name} back with its data"
                )
        return self._report(peer)

    async def fence(self, peer: int) -> Report:
        """Accept nobody in the name of node `peer`. Raises RebuildRefused. Cancelled: it may not outlast a restart."""
        self.check(peer)
        self._peers.fence(peer)
        self._links.disconnect(peer, "it is being rebuilt")
        await self._disk.call(partial(self._peers.write_fence, peer))
        return self._report(peer)

    def remove(self, peer: int) -> Report:
        """Start to take node `peer` out of the groups that are led here. Raises RebuildRefused unless fenced."""
        self._check_fenced(peer)
        self._links.disconnect(peer, "it is being rebuilt")  # one that was being opened when the fence came
        for shard in self._shards.values():
            if shard.ready and peer in _members(shard.group.conf):
                _propose(shard, Change(ChangeKind.REMOVE, peer))
        return self._report(peer)

    async def accept(self, peer: int) -> Report:
        """Take the next data directory of node `peer` for its own. Raises RebuildRefused unless it is fenced and
        removed. Cancelled: it may be fenced still."""
        self._check_fenced(peer)
        for number, shard in self._shards.items():
            if shard.role == Role.LEADER and peer in _members(shard.group.conf):
                name = self._topology.nodes[peer].name
                raise RebuildRefused(f"node {name} is a member of shard group {number} still")
        await self._disk.call(partial(self._peers.write_forgotten, peer))
        self._peers.forget(peer)
        return self._report(peer)

    def _check_fenced(self, peer: int) -> None:
        if not self._peers.fenced(peer):
            name = self._topology.nodes[peer].name
            raise RebuildRefused(
                f"node {name} is not fenced: `redraft rebuild` takes the steps in their order"
            )

    def _report(self, peer: int) -> Report:
        groups = []
        for number, shard in self._shards.items():
            group = shard.group
            leading = shard.role == Role.LEADER
            members = sorted(_members(group.conf))
            groups.append(GroupReport(number, group.term, leading, group.applied, group.last_index, members))
        topology = self._topology
        return Report(topology.cluster, topology.nodes[topology.me].name, self._state(peer), groups)

    def _state(self, peer: int) -> str:
        if self._peers.fenced(peer):
            return FENCED
        if self._links.connected(peer):
            return CONNECTED
        return REFUSED if self._peers.refused(peer) else ABSENT


def _members(conf: ConfState) -> set[int]:
    return {*conf.voters, *conf.voters_outgoing, *conf.learners, *conf.learners_next}


def _caught_up(shard: Shard, replica: int) -> bool:
    raft = shard.group.status().raft
    return any(
        peer.id == replica
        and peer.recent_active
        and peer.state == "replicate"
        and raft.commit - peer.match <= promote_lag_max
        for peer in raft.peers
    )


def _propose(shard: Shard, change: Change) -> None:
    try:
        shard.change_members(ConfChange((change,)))
    except RaftError:
        return  # another change is under way, or the leadership is not ours any more: the next round sees
