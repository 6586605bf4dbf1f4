"""A node of several shard groups in one process, for tests of commands that run on the node and ask its groups."""

import inspect
from types import SimpleNamespace
from typing import Any

import hiredis
import trio

from resp import encode
from resp.values import Error
from server.cluster.topology import NodeAddress, Topology
from server.commands.context import Context
from server.commands.table import NODE, SPREAD_ALL, Join, lookup
from server.errors import CommandError
from server.keyspace.slots import key_slot
from tests.server.harness import Group


class FakeNode:
    """Groups over memory, and the part of `Node` that the commands of keys use."""

    def __init__(self, group_count: int) -> None:
        address = NodeAddress(1, "n1", "127.0.0.1", 6379, 16379)
        self.topology = Topology("test", 1, (address,), group_count, 1, "forward")
        self.groups = {number: Group() for number in self.topology.data_groups}
        self.session = SimpleNamespace(db=0)
        self.calls: list[tuple[int, list[bytes]]] = []
        """What was asked of the groups: group, request."""
        self.failing: dict[int, bytes] = {}
        """Groups that answer every call with this error."""

    def group_of(self, key: bytes) -> Group:
        return self.groups[self.topology.slot_groups[key_slot(key)]]

    def set(self, *keys: str | bytes, db: int = 0) -> None:
        for key in keys:
            name = key.encode() if isinstance(key, str) else key
            group = self.group_of(name)
            group.db = db
            group.run("SET", name, "v")

    async def call(self, group: int, db: int, args: list[bytes], protocol: int = 2) -> Any:
        """As Node.call: the reply goes over the wire and back."""
        await trio.lowlevel.checkpoint()
        self.calls.append((group, args))
        if group in self.failing:
            return hiredis.ReplyError(self.failing[group].decode())
        self.groups[group].db = db
        reader = hiredis.Reader()
        reader.feed(encode(self.groups[group].run(*args), protocol))
        return reader.gets()

    async def run(self, *args: str | bytes) -> Any:
        """The reply to a client's request."""
        request = [arg.encode() if isinstance(arg, str) else arg for arg in args]
        row = lookup(request)
        if row is None or row.is_container:
            return Error(b"ERR unknown command '" + request[0] + b"'")
        if row.where is NODE:
            try:
                row.check_arity(request)
                reply = row.handler(Context(self, self.session), request)  # type: ignore[arg-type]
                return await reply if inspect.isawaitable(reply) else reply
            except CommandError as error:
                return Error(error.text)
        if row.where is SPREAD_ALL:
            replies = [self._run_on(group, request) for group in self.groups.values()]
            return sum(replies) if row.join is Join.SUM and isinstance(replies[0], int) else replies[0]
        key = request[row.keys.first] if len(request) > row.keys.first else b""
        return self._run_on(self.group_of(key), request)

    def _run_on(self, group: Group, request: list[bytes]) -> Any:
        group.db = self.session.db
        return group.run(*request)
