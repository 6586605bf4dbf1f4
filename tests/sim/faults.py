"""What goes wrong, by name. Each fault takes the world and breaks one thing, most of them for a random time.

To add one: write a function here, enter it in FAULTS, give it a weight in profiles.py. What it breaks must be
mended by `mend_all`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from raft.core.errors import RaftError
from raft.core.messages import Change, ChangeKind, ConfChange, ConfState, JointMode

if TYPE_CHECKING:
    from tests.sim.host import Host
    from tests.sim.world import World


def _some_host(world: "World") -> "Host":
    """Any node; the leader half of the time."""
    leader = world.leader()
    if leader is not None and world.random.random() < 0.5:
        return leader
    return world.hosts[world.random.randrange(len(world.hosts)) + 1]


def _note(world: "World", text: str) -> None:
    if world.trace:
        world.trace(f"   {text}")


# Crashes


def _crash(world: "World", host: "Host") -> None:
    if not host.is_up:
        return
    random = world.random
    is_machine = random.random() < 0.6
    batch_survives = random.random() < 0.4
    _note(
        world, f"n{host.id} crashes{' with its machine' if is_machine else ''}, last batch {batch_survives=}"
    )
    host.crash(batch_survives, data_survives=not is_machine)
    world.restart_later(host)


def crash(world: "World") -> None:
    """One node loses what it has not synced, and comes back later."""
    _crash(world, _some_host(world))


def crash_many(world: "World") -> None:
    """A power cut: each node with probability 0.7."""
    for host in world.hosts.values():
        if world.random.random() < 0.7:
            _crash(world, host)


# Disks


def slow_disk(world: "World") -> None:
    host = _some_host(world)
    host.disk.slowness = world.random.choice((10, 100, 1000))
    world.after(world.random.randrange(4 * world.timeout_us), _disk_recovers, host)


def _disk_recovers(host: "Host") -> None:
    host.disk.slowness = 1
    host.disk.is_full = False


def fail_sync(world: "World") -> None:
    """The next sync fails: the node stops, and is restarted later."""
    _some_host(world).disk.sync_fails = True


def fill_disk(world: "World") -> None:
    """No space for a while: a node stops at its next write, or steps aside until there is space."""
    host = _some_host(world)
    host.disk.is_full = True
    world.after(world.random.randrange(5 * world.timeout_us), _disk_recovers, host)


# Partitions


def _block(world: "World", senders: list[int], receivers: list[int]) -> None:
    world.blocked.update((a, b) for a in senders for b in receivers if a != b)


def _ids(world: "World") -> list[int]:
    return list(world.hosts)


def isolate(world: "World") -> None:
    host = _some_host(world)
    _block(world, [host.id], _ids(world))
    _block(world, _ids(world), [host.id])


def isolate_leader(world: "World") -> None:
    leader = world.leader()
    if leader is not None:
        _block(world, [leader.id], _ids(world))
        _block(world, _ids(world), [leader.id])


def cut_from_leader(world: "World") -> None:
    """One node and the leader do not reach each other; both reach all others."""
    leader = world.leader()
    if leader is not None:
        other = world.random.choice(_ids(world))
        _block(world, [leader.id], [other])
        if world.random.random() < 0.7:
            _block(world, [other], [leader.id])


def split(world: "World") -> None:
    """Two sides that hear nothing of each other."""
    ids = _ids(world)
    world.random.shuffle(ids)
    cut = world.random.randrange(len(ids) + 1)
    _block(world, ids[:cut], ids[cut:])
    _block(world, ids[cut:], ids[:cut])


def one_way(world: "World") -> None:
    """A node that is not heard, or does not hear, while the other direction works."""
    host = _some_host(world)
    if world.random.random() < 0.5:
        _block(world, [host.id], _ids(world))
    else:
        _block(world, _ids(world), [host.id])


def cut_links(world: "World") -> None:
    """A partial partition: a few links, each in one or both directions."""
    ids = _ids(world)
    for _ in range(world.random.randrange(1, len(ids) + 1)):
        a, b = world.random.choice(ids), world.random.choice(ids)
        _block(world, [a], [b])
        if world.random.random() < 0.5:
            _block(world, [b], [a])


def mend(world: "World") -> None:
    world.blocked.clear()


# Time


def pause(world: "World") -> None:
    """A node stands still (a stopped process, a suspended machine); its clock goes on."""
    host = _some_host(world)
    until_us = world.now_us + world.random.randrange(4 * world.timeout_us)
    host.paused_until_us = max(host.paused_until_us, until_us)
    _note(world, f"n{host.id} until {host.paused_until_us / 1000} ms")


def drift(world: "World") -> None:
    ppm_max = world.profile.drift_ppm_max
    _some_host(world).set_clock(world.random.choice((-ppm_max, ppm_max, 0)), 0)


def jump(world: "World") -> None:
    """A clock jumps ahead. A monotonic clock never jumps back while a process lives."""
    host = _some_host(world)
    host.set_clock(host.clock_ppm, world.random.randrange(3 * world.timeout_us))


# Leadership and membership


def transfer(world: "World") -> None:
    leader = world.leader()
    if leader is None:
        return
    try:
        leader.core.transfer_leadership(world.random.choice(_ids(world)), leader.local_us())
    except (RaftError, ValueError):
        return
    _note(world, f"n{leader.id} -> n{leader.core.transfer_target}")
    leader.turn()


def transfer_then_isolate(world: "World") -> None:
    """The old leader is cut off around the time when its order to take over arrives, which may be late."""
    transfer(world)
    world.after(world.random.randrange(3 * world.timeout_us), _isolate_unless_mended, world)


def _isolate_unless_mended(world: "World") -> None:
    if not world.is_mended:
        isolate_leader(world)


def campaign(world: "World") -> None:
    host = _some_host(world)
    _campaign(host, host.life)


def _draw_change(world: "World", conf: ConfState) -> ConfChange | None:
    """A change that leaves at least one voter. Draws one to three steps and how to go through the joint state."""
    random = world.random
    voters = set(conf.voters)
    steps: list[Change] = []
    for node in random.sample(
        range(1, world.ids_max + 1), min(world.ids_max, random.choice((1, 1, 1, 2, 3)))
    ):
        kind = random.choice(
            (ChangeKind.ADD_VOTER, ChangeKind.ADD_VOTER, ChangeKind.ADD_LEARNER, ChangeKind.REMOVE)
        )
        steps.append(Change(kind, node))
        if kind == ChangeKind.ADD_VOTER:
            voters.add(node)
        else:
            voters.discard(node)
    if not voters:
        return None
    return ConfChange(tuple(steps), random.choice(tuple(JointMode)))


def change_membership(world: "World") -> None:
    leader = world.leader()
    if leader is None:
        return
    change = _draw_change(world, leader.core.conf)
    if change is not None:
        _propose(world, leader, change)


def leave_joint(world: "World") -> None:
    leader = world.leader()
    if leader is not None and leader.core.conf.voters_outgoing:
        _propose(world, leader, ConfChange())


def _propose(world: "World", leader: "Host", change: ConfChange) -> None:
    for one in change.changes:
        while one.node not in world.hosts:
            world.add_host(len(world.hosts) + 1)
    try:
        index = leader.core.propose_conf_change(change, leader.local_us())
    except RaftError as refusal:
        _note(world, f"n{leader.id} refuses {change}: {refusal}")
        return
    _note(world, f"n{leader.id} proposes {change} at {index}")
    leader.turn()


def usurp(world: "World") -> None:
    """A node that the leader does not reach stands for election, when the others may have forgotten their promise.

    Clients rest meanwhile, so its log is as good as any; the others may crash and come back at once just
    before.
    """
    leader = world.leader()
    if leader is None or len(world.hosts) < 3:
        return
    random = world.random
    world.quiet_until_us = world.now_us + 3 * world.timeout_us
    usurper = world.hosts[random.choice([id for id in world.hosts if id != leader.id])]
    _block(world, [leader.id], [usurper.id])
    _block(world, [usurper.id], [leader.id])
    delay_us = world.timeout_us + random.randrange(world.timeout_us // 2)
    if random.random() < 0.5:
        world.after(delay_us, _crash_briefly, world, [leader.id, usurper.id])
    for _ in range(4):
        delay_us += random.randrange(world.timeout_us // 8)
        world.after(delay_us, _campaign, usurper, usurper.life)


def _crash_briefly(world: "World", spared: list[int]) -> None:
    for host in world.hosts.values():
        if host.id not in spared and host.is_up and not world.is_mended:
            host.crash(world.random.random() < 0.5, data_survives=world.random.random() < 0.5)
            world.after(world.random.randrange(world.timeout_us // 16), world.restart, host, host.life)


def _campaign(host: "Host", life: int) -> None:
    if host.is_up and host.life == life and host.paused_until_us <= host.world.now_us:
        host.core.campaign(host.local_us())
        host.turn()


def mend_all(world: "World") -> None:
    """The end of all faults, drift within the bound excepted."""
    mend(world)
    for host in world.hosts.values():
        _disk_recovers(host)
        host.disk.sync_fails = False
        host.paused_until_us = 0
        if not host.is_up:
            world.restart(host, host.life)


FAULTS: dict[str, Callable[["World"], None]] = {
    function.__name__: function
    for function in (
        crash,
        crash_many,
        slow_disk,
        fail_sync,
        fill_disk,
        isolate,
        isolate_leader,
        split,
        one_way,
        cut_links,
        cut_from_leader,
        mend,
        pause,
        drift,
        jump,
        transfer,
        transfer_then_isolate,
        usurp,
        campaign,
        change_membership,
        leave_joint,
    )
}
