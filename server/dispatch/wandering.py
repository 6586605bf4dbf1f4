"""Scripts that name no keys, in a cluster: they run where the keys are that they touch.

A script without keys goes to the first group. When the first key that it touches lives in another one, it has done
nothing there (what it has published is forgotten): its leader answers with WANDERS and the key's slot, whatever the
script may catch, and the script begins anew in that slot's group. There it has to stay: the keys of one script live in
one group.
The client's next command waits meanwhile, as it may be about the same keys.

A script that names keys goes to theirs, and one in a transaction to the group of the transaction.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from server.commands.function_calls import client_request
from server.commands.table import Args, Command, lookup
from server.dispatch.connection import Connection
from server.dispatch.places import Places
from server.session import Session
from server.shard.call import Overtaken, Slot
from server.shard.failure import WANDERS

_MARK = WANDERS[:1]


def names_no_keys(row: Command, args: Args) -> bool:
    """Whether a script or function is called without keys."""
    return not any(True for _ in row.keys.indexes(args))


def wanders_to(reply: bytes) -> int | None:
    """The slot in whose group the script that answers so is to run; None when it has run."""
    return int(reply[1:]) if reply.startswith(_MARK) else None


class WanderingSlot:
    """The slot of such a script's reply in the first group."""

    __slots__ = ("_connection", "_go_on", "_slot")

    def __init__(self, connection: Connection, args: Args, go_on: Callable[[int, Slot], None]) -> None:
        """The connection is blocked from now on. `go_on`: run the script in the group of a slot of the cluster, and
        let the connection go on when that has filled the other slot."""
        self._connection = connection
        self._slot = connection.defer(args)
        self._go_on = go_on
        connection.block()

    @property
    def session(self) -> Session:
        """Whose reply it is."""
        return self._connection.session

    def overtaken(self, args: Args, known: Overtaken) -> bool:
        """See Slot."""
        return False

    def fill(self, reply: bytes) -> None:
        """See Slot."""
        slot = wanders_to(reply)
        if slot is not None:
            self._go_on(slot, self._slot)
        else:
            self._slot.fill(reply)
            self._connection.unblock()


def wandering(
    run: Callable[[Connection, Command, Args, int], Awaitable[Any]],
    places: Places,
    connection: Connection,
    args: Args,
) -> WanderingSlot:
    """Where the reply goes to a script of a client that may have to run in another group: then by `run`, which is given
    that group."""
    request = client_request(args)

    def go_on(slot: int, reply_slot: Slot) -> None:
        row = lookup(request)
        assert row is not None
        work = run(connection, row, request, places.group_of_slot(slot))
        connection.start(work, reply_slot, connection.session.protocol)

    return WanderingSlot(connection, args, go_on)
