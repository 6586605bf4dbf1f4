"""Commands that are a matter of the client's node (NODE), or of what all nodes share (CLUSTER): run here, by a handler
or a task of this node."""

import logging
from typing import Any

from resp import Raw
from server.access.context import Node
from server.cluster.topology import SYSTEM_GROUP
from server.commands.context import Context
from server.commands.table import CLUSTER, Args, Command
from server.dispatch.asking import Asker
from server.dispatch.connection import Connection

log = logging.getLogger("redraft.dispatch")


class NodeCommands:
    """Those of one node."""

    def __init__(self, node: Node, asker: Asker) -> None:
        self._node = node
        self._asker = asker

    def context(self, connection: Connection) -> Context:
        """What a NODE handler is given."""
        return Context(self._node, connection.session)

    def value_of(self, row: Command, context: Context, args: Args) -> Any:
        """The reply of the command, or something to await that gives it. Raises what its handler raises."""
        if row.where is CLUSTER:
            return self._change_cluster(args, context.session.protocol)
        return row.handler(context, args)

    async def _change_cluster(self, args: Args, protocol: int) -> Raw:
        return Raw(await self._asker.ask(SYSTEM_GROUP, 0, args, protocol))

    def count_failure(self, row: Command, text: bytes) -> None:
        """It was answered with this error."""
        row.failed_calls += 1
        self._node.stats.count_error(b"-" + text)

    def log_failure(self, row: Command) -> None:
        """A handler raised what it must not raise."""
        log.exception("The command %s failed; its client was told so", row.name)
        self._node.stats.unexpected_errors += 1
        row.failed_calls += 1
