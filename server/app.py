"""A node's process: set up logging, open the node, serve, shut down in order.

Exit codes: 0 after a clean shutdown, 1 when the node can not start or can not go on; then one sentence on
standard error says why and what to do.
"""

import dataclasses
import errno
import gc
import logging
import os
import sys
from contextlib import suppress
from functools import partial

import trio

from raft.core import Corrupted
from raft.storage import LogDamaged, StorageError
from server.commands import all as all_commands
from server.config.file import Config
from server.config.reader import ConfigError
from server.cron import run_cron
from server.keyspace.leveldb import DataStoreError
from server.node import Node
from server.parameters.settings import clients_with_room
from server.telemetry.process import stop_signals

log = logging.getLogger("redraft")

switch_interval_s = 0.0005
"""The disk thread gets the interpreter lock this soon after its sync; the default of 5 ms would be most of a
write."""
drain_timeout_s = 2.0
"""How long a clean shutdown waits for the replies that are due."""
drain_quiet_s = 0.1
"""A clean shutdown ends when the other nodes have sent nothing for so long: a round trip and a heartbeat's delay."""


def run(config: Config, node_name: str | None) -> int:
    """Run one node of `config` until it is told to stop; `node_name` None: the only one. Returns the exit
    code."""
    logging.basicConfig(
        level=config.log.level.upper(), format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    sys.setswitchinterval(switch_interval_s)
    assert all_commands.loaded
    wanted = int(config.redis_parameters()["maxclients"])
    try:
        clients = clients_with_room(wanted)
    except ValueError as error:
        print(f"redraft: clients.maxclients: {error}", file=sys.stderr)
        return 1
    if clients < wanted:
        log.warning(
            "The limit of open files (ulimit -n) leaves room for %d clients, not for %d", clients, wanted
        )
        config = dataclasses.replace(config, redis={**config.redis, "maxclients": str(clients)})
    try:
        return trio.run(_main, config, config.node_name(node_name))
    except (ConfigError, StorageError, DataStoreError, Corrupted) as error:
        print(f"redraft: {error}{_way_back(config, node_name, error)}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"redraft: {_not_given(config, node_name, error)}", file=sys.stderr)
        return 1


def _not_given(config: Config, node_name: str | None, error: OSError) -> str:
    """What the system refused at the start, as a sentence with what to do about it."""
    me = config.node(node_name)
    ports = f"{me.bind} port {me.port}" + (f" or {me.peer_port}" if config.clustered else "")
    if error.errno is not None and error.errno < 0:  # the resolver's; create_server makes an OSError of it
        return f"{me.bind} is the name of no machine, set host and bind to addresses of this one"
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno == errno.EADDRINUSE:
        return f"{reason}: is another process using {ports}? Stop it, or choose another port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{reason}: {me.bind} is none of this machine, set bind to one that is"
    if error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {reason}"
    return f"{reason}: can this user listen on {ports}?"


async def _main(config: Config, name: str) -> int:
    failure: list[BaseException] = []

    def on_fatal(error: BaseException) -> None:
        failure.append(error)
        if node is not None:
            node.stopping.set()

    node: Node | None = None
    node = Node(config, name, on_fatal)
    try:
        await node.listen()
        async with trio.open_nursery() as nursery:
            node.reactor.wake_on(node.host.completions_fd)
            await nursery.start(partial(node.host.run, watch_completions=False))
            await nursery.start(node.reactor.run)
            nursery.start_soon(_signals, node)
            nursery.start_soon(run_cron, node)
            me = node.topology.nodes[node.topology.me]
            # What is there now stays; and the hot path makes many short-lived objects but no cycles, so the collector
            # need not look at ten thousand connections again and again.
            gc.collect()
            gc.freeze()
            gc.set_threshold(50_000, 20, 100)
            log.info("Node %s of cluster %s is ready for clients on port %d", name, config.cluster, me.port)
            await node.stopping.wait()
            if not failure:
                await _drain(node)
            nursery.cancel_scope.cancel()
    finally:
        await node.host.close()
        node.close()
    if failure:
        way_back = _way_back(config, name, failure[0])
        print(f"redraft: node {name} stops: {_explain(failure[0])}{way_back}", file=sys.stderr)
        return 1
    log.info("Node %s has shut down", name)
    return 0


def _explain(error: BaseException) -> str:
    """One sentence on why the node can not go on."""
    if isinstance(error, OSError) and error.errno == 28:
        return "the disk is full; free some space and start it again, nothing acknowledged is lost"
    if isinstance(error, LogDamaged | Corrupted):
        return str(error)
    return f"{error}; nothing acknowledged is lost, start it again when the cause is gone"


def _way_back(config: Config, name: str | None, error: BaseException) -> str:
    """What is to be added to an error that only the other nodes can help with."""
    if not config.clustered or not isinstance(error, LogDamaged | Corrupted):
        return ""
    return (
        f" (while it is stopped: redraft rebuild {config.source} --node {config.node_name(name)}; then start it with"
        " an empty data directory)"
    )


async def _drain(node: Node) -> None:
    """No new clients; let those that are there, and the other nodes, have the replies that are due.

    What was handed over is settled when its new leader says so, and what the other nodes had sent by the time they
    heard of that is still on its way here: so it ends only when nothing has come for a while.
    """
    node.reactor.stop_listening()
    for session in node.sessions.values():
        if session.blocked is not None:
            session.blocked.unblock(error=False)
    forwarder = node.router.forwarder
    quiet_s = 0.0 if forwarder is None else drain_quiet_s
    quiet_since_s = trio.current_time()
    visits = 0
    with trio.move_on_after(drain_timeout_s):
        while True:
            node.end_turn()
            busy = bool(node.busy_connections)
            if forwarder is not None:
                busy = busy or forwarder.visits.busy or forwarder.visits.count != visits
                visits = forwarder.visits.count
            if busy:
                quiet_since_s = trio.current_time()
            elif trio.current_time() >= quiet_since_s + quiet_s:
                return
            await trio.sleep(0.005)


async def _signals(node: Node) -> None:
    with suppress(ValueError), trio.open_signal_receiver(*stop_signals()) as signals:
        async for _ in signals:
            log.info("Told to stop: handing over")
            await node.leadership.hand_over()
            node.stopping.set()
            return
