"""Commands that a task runs on a group's leader, and waits for: what NODE commands, transactions and texts ask.

A CLUSTER command's reply means more than that its leader has done it: this node has applied it, and after a change so
have the others that can be reached, or have been waited for.
"""

from collections.abc import Callable
from typing import Any

import trio

from server.access.context import Node
from server.cluster.topology import Topology
from server.commands.table import CLUSTER, Args, Flag, lookup
from server.shard.call import Call, Later
from server.shard.gather import decode
from server.shard.router import Router

everywhere_wait_s = 0.5
"""How long the reply to a change of what all nodes share waits for those that the client does not talk to."""


class Answer(Later):
    """The Slot of a call that one task waits for."""

    __slots__ = ("_is_there", "_reply")

    def __init__(self) -> None:
        super().__init__(self._take)
        self._is_there = trio.Event()
        self._reply = b""

    def _take(self, reply: bytes) -> None:
        self._reply = reply
        self._is_there.set()

    async def wait(self) -> bytes:
        """The encoded reply, when it is there. If cancelled, the command is done all the same."""
        await self._is_there.wait()
        return self._reply


class Asker:
    """Asks the leaders of groups, whichever node they are."""

    def __init__(self, node: Node, topology: Topology, router: Router, end_turn: Callable[[], None]) -> None:
        """`end_turn`: carries out what has been submitted."""
        self._node = node
        self._router = router
        self._others = [number for number in topology.nodes if number != topology.me]
        self._end_turn = end_turn

    async def call(self, group: int, db: int, args: Args, protocol: int = 2) -> Any:
        """`ask`, and decode the reply (errors as hiredis.ReplyError)."""
        return decode(await self.ask(group, db, args, protocol))

    async def ask(self, group: int, db: int, args: Args, protocol: int) -> bytes:
        """Run a SHARD or CLUSTER command on a group's leader and return the encoded reply. If cancelled, it is done all
        the same."""
        row = lookup(args)
        assert row is not None
        answer = Answer()
        call = Call(row, args, db, protocol, answer)
        self._router.routes[group].submit(call)
        self._end_turn()
        reply = await answer.wait()
        if row.where is CLUSTER:
            await self._node.state.wait_applied(call.gate)
            if not row.flags & Flag.READONLY and call.gate and reply[:1] != b"-":
                await self._wait_everywhere(call.gate)
        return reply

    async def _wait_everywhere(self, index: int) -> None:
        """Return when the nodes that can be reached have applied group 0's log up to `index`, or soon anyway."""
        forwarder = self._router.forwarder
        if forwarder is None:
            return
        done = trio.Event()
        asked = heard = 0

        def hear() -> None:
            nonlocal heard
            heard += 1
            if heard == asked:
                done.set()

        asked = forwarder.ask_applied(self._others, index, hear)
        self._end_turn()
        if asked:
            with trio.move_on_after(everywhere_wait_s):
                await done.wait()
