"""How much memory a Lua state may have, and that a script which wants more fails without harm.

Lua itself refuses a script what goes beyond the limit. But where Python gives it something, it could not fail, only end
the process. So whoever gives looks at the limit before, or lifts it and looks afterwards.
"""

from collections.abc import Callable
from typing import Any

memory_bytes_max = 256 << 20
"""What Lua may have, for all scripts of a state together; a script that wants more fails."""
room_bytes = 16 << 20
"""What is free whenever Python gives something to Lua."""
_UNLIMITED = 1 << 62


class Memory:
    """Of one Lua state."""

    def __init__(self, lua: Any, on_short: Callable[[], None], on_crowded: Callable[[], None]) -> None:
        """`on_short`: there is no room, so what runs is to end; `on_crowded`: before something runs: much is used, so
        what is not needed is to be let go."""
        self._lua = lua
        self._on_short = on_short
        self._on_crowded = on_crowded
        self._limit = memory_bytes_max
        """What Lua may have now."""
        lua.set_max_memory(self._limit)

    @property
    def is_crowded(self) -> bool:
        """Whether much of it is used."""
        used: int = self._lua.get_memory_used()
        return used > memory_bytes_max // 2

    def make_room(self, size: int) -> None:
        """Before Lua is given so many bytes, and runs: let it have them, and as much again as it may be left with."""
        if self.is_crowded:
            self._on_crowded()
        limit = max(memory_bytes_max, self._lua.get_memory_used() + 2 * size + memory_bytes_max // 2)
        if limit != self._limit:
            self._limit = limit
            self._lua.set_max_memory(limit)

    def has_room(self, size: int) -> bool:
        """Whether Lua may have so many bytes more. If not it has room for what it is told of that."""
        used: int = self._lua.get_memory_used()
        if used + size + room_bytes <= self._limit:
            return True
        self._limit = used + size + room_bytes
        self._lua.set_max_memory(self._limit)
        self._on_short()
        return False

    def lift_limit(self) -> None:
        """Lua is about to be given what nobody knows the size of: see afterwards whether there was room."""
        self._lua.set_max_memory(_UNLIMITED)

    def restore_limit(self) -> None:
        """It has been given."""
        self._lua.set_max_memory(self._limit)
