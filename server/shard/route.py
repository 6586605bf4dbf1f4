"""Where the calls of one shard group go: to the shard here, to the node that leads it, or into a queue.

The order of a connection's commands on one key is kept whatever happens to leaders: as long as anything of the group
waits, everything after it waits behind it. What has to be done again (a shard that lost its leadership, a node that
refused) is sorted by the order in which it first came, and not before all that was under way has been answered.

When the leader changes while calls are under way at the old one, that one answers or refuses them after a hand-over,
and nobody notices. A node that has stopped does not; but the log tells what became of them (receipts.py): who was
answered by it is, the others are for the new leader. A node that has no replica, and so no log, waits for `settle_s`;
then the group goes on with the new leader and those calls are left behind: whatever comes back for them, they are not
done again, as that would overtake. Nor is a call whose client has had the answer to a later one that may have changed
the same key (`Slot.overtaken`): the log told of that write, but not of the read before it. That it was not applied is
certain, and what its client is told.

Waiting is bounded: by `leader_wait_s` for a call that waits for a leader (then CLUSTERDOWN), for the fate of what was
proposed, or at a former leader (then UNKNOWN); by twice that for a call at the leader; and in number by the
connections, which stop reading when many of their commands wait. A leader that is there and at work, be it on a long
command or on catching up with what it has written, is waited for as long as it takes.
"""

from collections import deque
from collections.abc import Callable, Iterable

from raft.core.node import Role
from resp import Error, encode
from resp.values import NULL_ARRAY
from server.commands.table import ALLOW_BUSY, Args
from server.errors import CLIENT_UNBLOCKED, CLUSTERDOWN, OUTCOME_UNKNOWN, not_applied
from server.shard.call import Call, Overtaken
from server.shard.clock import TurnClock
from server.shard.receipts import Fate
from server.shard.shard import Shard

refused_pause_s = 0.01
"""After a refusal the same node is not asked again for this long, unless the leader is known to have changed.
"""


settle_s = 0.2
"""A former leader's time to answer what it was asked, before the new one is asked anything: some round trips."""


class _Nowhere:
    """The slot of a call that was answered without waiting any longer."""

    def overtaken(self, args: Args, known: Overtaken) -> bool:
        """See Slot."""
        return False

    def fill(self, reply: bytes) -> None:
        """See Slot."""


class Route:
    """The way to one group's leader."""

    __slots__ = (
        "_asked_node",
        "_cancel",
        "_changed_s",
        "_clock",
        "_forget",
        "_left_behind",
        "_on_dirty",
        "_orphans_since_s",
        "_refused",
        "_retry_at_s",
        "_send",
        "epoch",
        "group",
        "here",
        "hint",
        "leader_wait_s",
        "me",
        "outstanding",
        "parked",
        "shard",
        "waiting",
    )

    def __init__(
        self,
        group: int,
        me: int,
        shard: Shard | None,
        clock: TurnClock,
        *,
        leader_wait_s: float,
        hint: int,
        send: Callable[["Route", int, Call], bool],
        cancel: Callable[["Route", Call, bool], bool],
        forget: Callable[[set[Call]], None],
        on_dirty: Callable[["Route"], None],
    ) -> None:
        """`shard`: this node's replica, if it has one; `hint`: whom to ask first if it has not; `send(route,
        node, call)`: forward, False when there is no connection; `cancel(route, call, error)`: ask the node that has
        it to let a waiting call go, False when that is nobody; `forget(calls)`: no answer to these is wanted any
        more; `on_dirty`: `update` wants to be called this turn."""
        self.group = group
        self.me = me
        self.shard = shard
        self.here: Shard | None = None
        """The shard here, while it may be called at once. The hot path asks nothing else."""
        self.parked: deque[Call] = deque()
        self.epoch = 0
        """Grows with each refusal; a node that refused one call refuses all of the same epoch, so order is
        kept."""
        self.outstanding: dict[Call, float] = {}
        """Calls at another node, not answered yet, and since when."""
        self.waiting: dict[Call, tuple[int, float]] = {}
        """Calls at another node that may wait there for a key: which node, and when that was last known to lead.
        Nothing has to wait for them: their clients send nothing else meanwhile."""
        self.hint = hint
        self._refused: list[Call] = []
        self._left_behind: dict[Call, float] = {}
        """Calls at a former leader that we wait no longer for."""
        self._asked_node = 0
        """Where the outstanding calls are; 0: nowhere, or over a connection that broke."""
        self._changed_s = 0.0
        """Since when the outstanding calls are at a node that leads no more; 0: they are at the leader."""
        self._retry_at_s = 0.0
        self._orphans_since_s = 0.0
        self._clock = clock
        self.leader_wait_s = leader_wait_s
        """How long a call waits for a leader, or for the log to tell what became of it."""
        self._send = send
        self._cancel = cancel
        self._forget = forget
        self._on_dirty = on_dirty

    @property
    def leader(self) -> int:
        """The node that leads the group, as far as known; 0 otherwise."""
        if self.shard is not None:
            return self.shard.leader
        return self.hint

    def submit(self, call: Call) -> None:
        """Do `call` where it belongs, now or later."""
        if self.here is not None:
            self.here.submit(call)
        elif call.command.flags & ALLOW_BUSY and (leading := self._leading) is not None:
            leading.worker.interrupt(call)
        elif self.parked or self._refused or not self._forward(call):
            self._park(call)

    def accept(self, call: Call) -> bool:
        """A call that another node forwarded to us; False: not here. It is never sent on."""
        if self.here is not None:
            self.here.submit(call)
        elif (leading := self._leading) is not None:
            if call.command.flags & ALLOW_BUSY:
                leading.worker.interrupt(call)
            else:
                self._park(call)
        else:
            return False
        return True

    @property
    def _leading(self) -> Shard | None:
        """The shard here, if it leads, ready or not."""
        return self.shard if self.shard is not None and self.shard.role == Role.LEADER else None

    def matches(self, index: int) -> list[int] | None:
        """The index, or for 0 that up to which the log is committed, and how many other replicas have the log up to
        there. None: we do not lead for certain."""
        shard = self._leading
        if shard is None or not shard.group.lease_valid():
            return None
        raft = shard.group.status().raft
        index = index or raft.commit
        return [index, sum(peer.id != self.me and peer.match >= index for peer in raft.peers)]

    def _park(self, call: Call) -> None:
        busy = None if self.shard is None else self.shard.worker.busy
        if busy is not None:
            self._turn_away(call, busy)
            return
        if not call.deadline_s:
            call.deadline_s = self._clock.steady_s + self.leader_wait_s
        self.parked.append(call)
        self._on_dirty(self)

    def _turn_away(self, call: Call, busy: bytes) -> None:
        if call.transaction is not None:
            busy = b"EXECABORT Transaction discarded because of: " + busy
        call.slot.fill(encode(Error(busy), call.protocol))

    def _forward(self, call: Call) -> bool:
        """Send to the leader if that is another node we can reach."""
        leader = self.leader
        if leader in (0, self.me) or (self.shard is not None and self.shard.orphans):
            return False
        if self.outstanding and leader != self._asked_node and not self._leave_behind():
            return False
        call.epoch = self.epoch
        waits = call.command.blocks and call.transaction is None
        if waits:
            call.since_s = call.since_s or self._clock.now_s
        if not self._send(self, leader, call):
            return False
        if waits:
            self.waiting[call] = (leader, self._clock.steady_s)
            return True
        self._asked_node = leader
        self.outstanding[call] = self._clock.steady_s
        return True

    def _leave_behind(self) -> bool:
        """Whether the former leader has had its time; then what it was asked does not hold us up any more."""
        now_s = self._clock.steady_s
        self._changed_s = self._changed_s or now_s
        told = self.shard is None or (
            self._asked_node != 0 and self.shard.settled_term == self.shard.group.term
        )
        if now_s < self._changed_s + (settle_s if told else self.leader_wait_s):
            return False
        self._changed_s = 0.0
        self._left_behind.update(self.outstanding)
        self.outstanding.clear()
        newest = max((call.order for call in self._left_behind if call.is_write), default=0)
        for call in [call for call in self._refused if call.order < newest]:
            self._refused.remove(call)  # what is left behind may have been done
            self._give_up(call)
        return True

    def broke(self, node: int) -> None:
        """The connection to `node` broke. Of what was asked there nothing is known yet: nothing goes past it."""
        if self._asked_node == node:
            self._asked_node = 0

    def answered(self, call: Call) -> None:
        """A call at another node got its reply."""
        self._left_behind.pop(call, None)
        self.waiting.pop(call, None)
        self.outstanding.pop(call, None)
        if not self.outstanding:
            self._changed_s = 0.0
            if self._refused or self.parked:
                self._on_dirty(self)

    def still_busy(self) -> None:
        """The node that was asked is at work on something that takes long: have patience with it."""
        self.outstanding = dict.fromkeys(self.outstanding, self._clock.steady_s)

    def refused(self, call: Call, leader: int) -> None:
        """The other node did not do `call`; it says that `leader` may."""
        if call.epoch == self.epoch:
            self.epoch += 1
        if self.shard is None and leader != self.me:
            self.hint = leader or self.hint
        self._retry_at_s = self._clock.steady_s + refused_pause_s
        self._came_back(call)

    def lost(self, call: Call) -> None:
        """`call` had no effect at the other node, which is gone: do it again, unless others have gone past it or it was
        given up. (A node that refuses calls does so in their order.)"""
        call.lost = True
        self._came_back(call)

    def _came_back(self, call: Call) -> None:
        if call.unblocked is not None:
            self._fill_unblocked(call, call.unblocked)
        elif call in self._left_behind:
            self._give_up(call)
        elif not isinstance(
            call.slot, _Nowhere
        ):  # or it would be done for nobody, and may take something away
            self._refused.append(call)
        self.answered(call)

    def leaves(self, call: Call, args: Args | None = None) -> None:
        """A call that was at another node goes to the next leader, which has its whole time to appear. `args`: what
        it asks there, if not the same."""
        call.args = args or call.args
        call.deadline_s = 0.0

    def unknown(self, call: Call) -> None:
        """Nobody can tell what became of `call` at the other node."""
        call.slot.fill(encode(Error(OUTCOME_UNKNOWN), call.protocol))
        self.answered(call)

    def expects(self, call: Call) -> bool:
        """`call` was sent to another node and nobody has answered it."""
        return call in self.outstanding or call in self.waiting or call in self._left_behind

    def fate(self, call: Call) -> Fate:
        """What the log tells of a call that was sent to another node."""
        shard, sent = self.shard, call.sent
        if shard is None or sent is None or shard.replica.generation != sent.generation:
            return Fate.UNKNOWN
        return Fate.NEVER if shard.settled_term > sent.term else Fate.OPEN

    def waited_ms(self, call: Call) -> int:
        """How long a blocking call has waited."""
        return max(int((self._clock.now_s - call.since_s) * 1000), 0)

    def since_s(self, waited_ms: int) -> float:
        """When a call began to wait that has waited for so long."""
        return self._clock.now_s - waited_ms / 1000

    def _not_gone_past(self) -> list[Call]:
        """Calls at a former leader, without the reads that a later write has gone past, or may have: only that leader
        can answer them, and it does in a moment if it has handed over."""
        writes = [call for call in self.outstanding if call.is_write]
        if any(self.fate(call) != Fate.NEVER for call in writes):
            return writes
        overtaken: Overtaken = {}
        return [
            call
            for call in self.outstanding
            if call.is_write or not call.slot.overtaken(call.args, overtaken)
        ]

    def _take_back(self, calls: Iterable[Call]) -> None:
        """Those of these calls to a former leader that had no effect and will have none are for the new one."""
        found = [call for call in calls if not call.is_write or self.fate(call) == Fate.NEVER]
        if found:
            self._forget(set(found))
            for call in found:
                self.leaves(call)
                self.lost(call)

    def leader_changed(self) -> None:
        """Whoever refused may be willing now."""
        self._retry_at_s = 0.0

    def unblock(self, call: Call, *, error: bool) -> bool:
        """Let a call that may wait for a key go, as if its time were over or with an error; whether it was waiting.
        Where that is for another node to say, the answer is yes and the call is answered all the same."""
        if call in self.waiting:
            call.unblocked = error
            # When its leader is gone the log will tell whether it has been served, unless it takes nothing anyway.
            if not self._cancel(self, call, error) and not call.is_write:
                self.lost(call)
            return True
        for queue in (self.parked, self._refused, self.shard.retry if self.shard is not None else []):
            if call in queue:
                queue.remove(call)
                self._fill_unblocked(call, error)
                return True
        return self.shard is not None and self.shard.waiters.end(call, error=error)

    def _fill_unblocked(self, call: Call, error: bool) -> None:
        call.note_unblocked(error=error)
        call.slot.fill(encode(Error(CLIENT_UNBLOCKED) if error else NULL_ARRAY, call.protocol))

    def update(self) -> None:
        """Bring what waits on its way, if it can go now."""
        shard = self.shard
        if self._refused and not self.outstanding:
            self._requeue(self._refused)
            self._refused = []
        if shard is not None:
            if shard.retry:
                for call in shard.retry:
                    call.lost = True
                self._requeue(shard.retry)
                shard.retry = []
            if shard.orphans:
                self.here = None
                self._orphans_since_s = self._orphans_since_s or self._clock.steady_s
                return
            self._orphans_since_s = 0.0
            if shard.ready and self.outstanding and not self._leave_behind():
                return  # we have just become the leader: the former one still has its time
            while self.parked and shard.ready:
                shard.submit(self.parked.popleft())
            self.here = shard if shard.ready and not self.parked and not shard.retry else None
            if shard.role == Role.LEADER:
                return
        if not self._refused and self._clock.steady_s >= self._retry_at_s:
            self._drain_to_leader()

    def _drain_to_leader(self) -> None:
        leader = self.leader
        while self.parked:
            call = self.parked[0]
            if call.forwarded is not None:
                self.parked.popleft()
                call.forwarded.refuse(leader, call.args if call.since_s else None)
            elif self._forward(call):
                self.parked.popleft()
            else:
                return

    def _requeue(self, calls: list[Call]) -> None:
        again = []
        overtaken: Overtaken = {}
        for call in calls:
            if call.lost and call.slot.overtaken(call.args, overtaken):
                self._give_up(call)
                continue
            call.lost = False
            call.deadline_s = call.deadline_s or self._clock.steady_s + self.leader_wait_s
            again.append(call)
        self.parked = deque(sorted([*again, *self.parked], key=lambda call: call.order))

    def _give_up(self, call: Call) -> None:
        """It was not applied, and is not done any more, as that would overtake."""
        text = not_applied(b"The leader of the shard group changed").text
        call.slot.fill(encode(Error(text), call.protocol))

    def check_deadlines(self) -> None:
        """Give up on what has waited too long."""
        now_s = self._clock.steady_s
        if self.shard is not None and self.shard.role == Role.LEADER and not self.shard.ready:
            self.shard.refresh()  # nobody tells when a hand-over came to nothing
        if (
            self.shard is not None
            and self.shard.orphans
            and now_s > self._orphans_since_s + self.leader_wait_s
        ):
            self.shard.give_up_orphans()
        working = self.shard is not None and (self.shard.work is not None or self.shard.is_full)
        busy = None if self.shard is None else self.shard.worker.busy
        while busy is not None and self.parked:
            self._turn_away(self.parked.popleft(), busy)
        while self.parked and not working and self.parked[0].deadline_s <= now_s:
            call = self.parked.popleft()
            call.slot.fill(encode(Error(CLUSTERDOWN), call.protocol))
        patience_s = self.leader_wait_s
        for waiting, limit_s in ((self._left_behind, patience_s), (self.outstanding, 2 * patience_s)):
            while waiting and now_s > next(iter(waiting.values())) + limit_s:
                call = next(iter(waiting))
                text = OUTCOME_UNKNOWN if call.is_write else CLUSTERDOWN
                call.slot.fill(encode(Error(text), call.protocol))
                call.slot = _Nowhere()
                self.answered(call)
        if self.shard is not None:
            self.shard.check_waiters()
        leader = self.leader
        if leader not in (0, self._asked_node) and self.outstanding:
            self._take_back(self._not_gone_past())
        if self.waiting:
            self._take_back([call for call, (node, _) in self.waiting.items() if leader not in (0, node)])
        for call, (node, led_s) in list(self.waiting.items()):
            if leader in (0, node):
                self.waiting[call] = (node, now_s)
            elif now_s > led_s + patience_s:
                self.unknown(call)
                call.slot = _Nowhere()
        if self.parked or self._refused:
            self._on_dirty(self)
