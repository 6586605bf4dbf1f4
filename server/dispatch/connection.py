"""The connection as dispatch sees it; net/ has the real one."""

from collections.abc import Awaitable
from typing import Any, Protocol

from server.session import Session
from server.shard.call import Slot


class Connection(Protocol):
    """One client's connection."""

    session: Session

    def defer(self, args: list[bytes]) -> Slot:
        """A place for the reply of the command that is running, in the order of commands; `args`: the request."""

    def block(self) -> None:
        """Take no further command of this client until `unblock`. Nests not."""

    def unblock(self) -> None:
        """Go on with the commands that have arrived meanwhile."""

    def postpone(self, args: list[bytes]) -> None:
        """Block, and run this request again, before any later one, after `unblock`."""

    def hold_back(self, args: list[bytes]) -> bool:
        """Whether replies are due; then run this request again, before any later one, when they have come."""

    def start(self, work: Awaitable[Any], slot: Slot, protocol: int) -> None:
        """Block, await the value in a task, encode it into `slot`, unblock. A closed connection cancels it."""
