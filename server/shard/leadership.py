"""Which node leads which group, as far as this one can decide it: it gives leaderships away, and takes none.

Each group has a replica that should lead it, so that every node has its part of the work. A node that ends gives away
all that it leads first: then nobody has to find out that it is gone. Who was given a group by the one that should lead
it must not give it back at once, since that one may be about to end.
"""

from collections.abc import Callable, Mapping

import trio

from raft.core.node import Role
from server.cluster.topology import Topology
from server.shard.shard import Shard

balance_lag_max = 1000
"""Entries that the preferred leader may lack and still be handed the group: they are there in a moment."""


class Leadership:
    """Of one node's groups."""

    def __init__(
        self,
        topology: Topology,
        shards: Mapping[int, Shard],
        heartbeat_s: float,
        *,
        end_turn: Callable[[], None],
    ) -> None:
        """`end_turn`: lets what was begun leave the node."""
        self._topology = topology
        self._shards = shards
        self._heartbeat_s = heartbeat_s
        self._end_turn = end_turn
        self._led: dict[int, int] = {}
        """Group to term, of what this node led at the last look of `balance`."""

    async def hand_over(self, timeout_s: float = 2.0) -> None:
        """Give every leadership to a replica that has caught up; what can not be given in time is kept.

        Right after a leader has counted who is there it knows of nobody until they answer again, so that it is not
        before `nobody_s` that nobody there means nobody.
        """
        nobody_s = 3 * self._heartbeat_s
        start_s = trio.current_time()
        with trio.move_on_after(timeout_s):
            while True:
                leading = [
                    shard
                    for shard in self._shards.values()
                    if shard.role == Role.LEADER and len(shard.group.status().raft.peers) > 1
                ]
                pending = [shard for shard in leading if self._transfer(shard, None)]
                if not pending and (not leading or trio.current_time() > start_s + nobody_s):
                    return
                self._end_turn()
                await trio.sleep(0.005)

    def _transfer(self, shard: Shard, target: int | None) -> bool:
        """Start to hand `shard`'s group to `target`, or to whoever is best; False when there is nobody."""
        raft = shard.group.status().raft
        if raft.transfer_target:
            return True
        able = [
            peer
            for peer in raft.peers
            if peer.id != self._topology.me
            and peer.recent_active
            and not peer.learner
            and peer.state == "replicate"
            and (target is None or peer.id == target)
        ]
        if not able:
            return False
        shard.group.transfer(max(able, key=lambda peer: peer.match).id)
        shard.refresh()
        return True

    def balance(self) -> None:
        """Hand groups to the replica that should lead them, if that one is there and has caught up.

        To be called now and then, in which time a node that hands over has ended: what this one did not lead at the
        last call, it keeps.
        """
        led, self._led = self._led, {}
        for shard in self._shards.values():
            preferred = self._topology.groups[shard.number].replicas[0]
            if shard.ready and preferred != self._topology.me:
                raft = shard.group.status().raft
                self._led[shard.number] = raft.term
                if led.get(shard.number) == raft.term and any(
                    peer.id == preferred and peer.recent_active and raft.commit - peer.match < balance_lag_max
                    for peer in raft.peers
                ):
                    self._transfer(shard, preferred)
