"""What a node does now and then: deadlines, expiry, idle clients, leadership balance, members of the groups,
free disk space, sweeping.

Each job is a loop with a period; to add one, write it and start it in `run_cron`. None of them holds the
loop: work on data is bounded per turn, work on the store runs on a thread.
"""

import logging
import shutil
from functools import partial

import trio

from server.node import Node, deadlines_period_s
from server.shard.sweeper import sweep

log = logging.getLogger("redraft.cron")

expire_period_s = 0.1
rates_period_s = 0.1
expire_pause_s = 0.005
"""Between two bounded rounds of expiry while there is more to delete."""
clients_period_s = 1.0
balance_period_s = 2.0
"""More than a node takes to end that has handed over."""
balance_after_s = 3.0
"""A node takes no part in balancing this soon after its start; and then only looks, the first time."""
members_period_s = 1.0
disk_period_s = 1.0
sweep_period_s = 0.5
means_period_s = 0.5
uses_period_s = 1.0


async def run_cron(node: Node) -> None:
    """All jobs, until cancelled."""
    async with trio.open_nursery() as nursery:
        for job in (
            _work,
            _deadlines,
            _rates,
            _expire,
            _clients,
            _balance,
            _members,
            _means,
            _disk,
            _sweep,
            _uses,
        ):
            nursery.start_soon(job, node)


async def _work(node: Node) -> None:
    """A slice of what takes long, then whatever else is ready; see shard/work.py."""
    while True:
        await node.workbench.wait()
        while node.work_on():
            await trio.lowlevel.checkpoint()


async def _deadlines(node: Node) -> None:
    """Turns look at them; where none has for a while, this makes one."""
    while True:
        with trio.move_on_after(deadlines_period_s) as node.deadlines_timer:
            await trio.sleep_forever()
        node.clock.advance()
        node.end_turn()


async def _rates(node: Node) -> None:
    while True:
        await trio.sleep(rates_period_s)
        node.rates.sample(trio.current_time(), node.stats)


async def _expire(node: Node) -> None:
    while True:
        await trio.sleep(expire_period_s)
        while node.expire_due():  # noqa: ASYNC110 -- this is work in slices, not a wait
            await trio.sleep(expire_pause_s)


async def _means(node: Node) -> None:
    while True:
        await trio.sleep(means_period_s)
        if node.settings.maxmemory_bytes or node.settings.min_replicas_to_write:
            node.check_means()


async def _clients(node: Node) -> None:
    while True:
        await trio.sleep(clients_period_s)
        node.reactor.check_output_limits()
        timeout_s = node.settings.timeout_s
        if timeout_s:
            for connection in node.reactor.connections:
                session = connection.session
                if session.subscriptions is not None:
                    continue  # they wait, that is what they do
                if connection.idle and node.clock.now_s - session.last_active_s > timeout_s:
                    connection.close()


async def _balance(node: Node) -> None:
    await trio.sleep(balance_after_s)
    while True:
        node.leadership.balance()
        node.end_turn()
        await trio.sleep(balance_period_s)


async def _members(node: Node) -> None:
    membership = node.membership
    while membership is not None:
        await trio.sleep(members_period_s)
        membership.heal()
        node.end_turn()


async def _disk(node: Node) -> None:
    """With little space left, step aside while it can still be done in order."""
    low = False
    while True:
        await trio.sleep(disk_period_s)
        free = shutil.disk_usage(node.data_directory).free
        if (free < node.config.storage.disk_free_min_mb << 20) == low:
            continue
        low = not low
        if low:
            log.error("Only %d MiB are free on the disk of the data: this node takes no writes", free >> 20)
            await node.leadership.hand_over()
        else:
            log.info("There is space on the disk again: this node takes writes")
        node.disk_full = low
        for shard in node.shards.values():
            shard.refuse_writes(low)


async def _sweep(node: Node) -> None:
    while True:
        await trio.sleep(sweep_period_s)
        for shard in [shard for shard in node.shards.values() if shard.replica.sweep_due]:
            # Snapshots are read on the same thread, so one that begins now waits for the round.
            more = True
            while more and not node.host.snapshots.sending(shard.number):
                consistent = shard.group.consistent
                more = await node.host.bulk.call(
                    partial(sweep, node.store, shard.replica, consistent=consistent)
                )
                node.stats.lazyfreed_objects += shard.replica.swept_values
                shard.replica.swept_values = 0
                await trio.sleep(expire_pause_s)


async def _uses(node: Node) -> None:
    while True:
        await trio.sleep(uses_period_s)
        node.periods.check()
