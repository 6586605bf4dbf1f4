"""How long a group has no leader after the one it had was killed, at the default settings: in simulated time, so that
what chance can bring together is looked at, and how busy this machine is does not count.

The nodes tick out of step, messages take half a millisecond and more, a disk mostly two, sometimes a tenth of a second.
"""

import heapq
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from raft.core import ConfState, HardState, MemoryLog, Message, RaftConfig, RaftNode, Ready, Role
from raft.runtime.options import HostOptions

LIMIT_US = 1_500_000
SEEDS = 400
_OPTIONS = HostOptions()
_TICK_US = int(_OPTIONS.tick_s * 1_000_000)


class _Replica:
    """A node with a disk that takes its time."""

    def __init__(self, group: "_Group", number: int, voters: tuple[int, ...]) -> None:
        config = RaftConfig(
            id=number,
            election_ticks=_OPTIONS.election_ticks,
            heartbeat_ticks=_OPTIONS.heartbeat_ticks,
            lease_us=_OPTIONS.lease_us,
        )
        self.group = group
        self.is_up = True
        self.disk = MemoryLog()
        self.node = RaftNode(config, self.disk, HardState(), ConfState(voters), 0, group.random.randrange)
        group.after(group.random.randrange(_TICK_US), self._tick)

    def _tick(self) -> None:
        self.group.after(_TICK_US + self.group.random.randrange(1500), self._tick)
        self.node.tick(self.group.now_us)
        self._pump()

    def take(self, message: Message) -> None:
        self.node.step(message, self.group.now_us)
        self._pump()

    def write(self) -> None:
        if self.node.can_propose:
            self.node.propose(b"x", self.group.now_us)
            self._pump()
            self.group.after(3000, self.write)

    def _pump(self) -> None:
        while self.is_up and self.node.has_ready():
            ready = self.node.ready()
            self.group.send(ready.messages)
            if ready.persist:
                self.group.after(self.group.disk_us(), self._saved, ready)
            if ready.committed:
                self.node.applied_to(ready.committed[-1].index)
                if self.node.role is Role.LEADER and not ready.committed[-1].data:
                    self.group.leader = self  # its no-op is committed: it takes writes

    def _saved(self, ready: Ready) -> None:
        self.disk.append(ready.entries)
        self.node.advance(ready)
        self.group.send(ready.messages_after)
        self._pump()


class _Group:
    """Some replicas and their time."""

    def __init__(self, seed: int, size: int) -> None:
        self.random = Random(seed)
        self.now_us = 1_000_000
        self.leader: _Replica | None = None
        self._due: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0
        self._arrival_us: dict[tuple[int, int], int] = {}
        voters = tuple(range(1, size + 1))
        self.replicas = {number: _Replica(self, number, voters) for number in voters}

    def after(self, delay_us: int, what: Callable[..., None], *arguments: Any) -> None:
        self._count += 1
        heapq.heappush(self._due, (self.now_us + delay_us, self._count, what, arguments))

    def disk_us(self) -> int:
        stall_us = self.random.randrange(100_000) if self.random.random() < 0.02 else 0
        return int(2000 * self.random.lognormvariate(0, 0.7)) + stall_us

    def send(self, messages: list[Message]) -> None:
        for message in messages:
            way = (message.sender, message.to)
            delay_us = int(500 * self.random.lognormvariate(0, 0.6))
            self._arrival_us[way] = max(self.now_us + delay_us, self._arrival_us.get(way, 0) + 1)
            self.after(self._arrival_us[way] - self.now_us, self._deliver, message)

    def _deliver(self, message: Message) -> None:
        if self.replicas[message.sender].is_up:  # else its connections are gone, with what was in them
            self.replicas[message.to].take(message)

    def run_until_there_is_a_leader(self) -> "_Replica":
        self.leader = None
        while self.leader is None:
            self._step()
        return self.leader

    def run_for(self, duration_us: int) -> None:
        end_us = self.now_us + duration_us
        while self.now_us < end_us:
            self._step()

    def _step(self) -> None:
        self.now_us, _, what, arguments = heapq.heappop(self._due)
        if getattr(what, "__self__", self) is self or what.__self__.is_up:
            what(*arguments)


def _without_leader_us(seed: int, size: int) -> int:
    group = _Group(seed, size)
    leader = group.run_until_there_is_a_leader()
    leader.write()
    group.run_for(group.random.randrange(300_000, 800_000))
    leader.is_up = False
    killed_us = group.now_us
    group.run_until_there_is_a_leader()
    return group.now_us - killed_us


@pytest.mark.parametrize("size", [3, 5])
def test_after_a_leader_was_killed_there_is_another_in_time(size: int) -> None:
    times_us = {seed: _without_leader_us(seed, size) for seed in range(SEEDS)}
    assert {seed: time_us for seed, time_us in times_us.items() if time_us > LIMIT_US} == {}
