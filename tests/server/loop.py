"""Whether the loop goes on while something is done that takes long."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


class Turns:
    """Those that another task had."""

    def __init__(self) -> None:
        self.count = 0

    async def take(self) -> None:
        """Until cancelled."""
        while True:
            self.count += 1
            await trio.lowlevel.checkpoint()


@asynccontextmanager
async def turns_of_others() -> AsyncIterator[Turns]:
    """Counts while the body runs."""
    turns = Turns()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(turns.take)
        yield turns
        nursery.cancel_scope.cancel()
