"""How much memory a Lua state may have, and that a script which wants more fails without harm.

Lua itself refuses a script what goes beyond the limit. But where Python gives it something, it could not fail, only end
the process. So whoever gives looks at the limit before, or lifts it and looks afterwards.
"""

from collections.abc import Callable
from typing import Any, Final

memory_bytes_max = 256 << 20
"""What Lua may have, for all scripts of a state together; a script that wants more fails."""
room_bytes = 16 << 20
"""What is free whenever Python gives something to Lua."""
_UNLIMITED: Final = 1 << 62


class Memory:
    """Of one Lua state."""

    def __init__(self, lua: Any, on_short: Callable[[], None], on_crowded: Callable[[], None]) -> None:
        """`on_short`: there is no room, so what runs is to end; `on_crowded`: before something runs: much is used, so
        what is not needed is to be let go."""
        self._used: Callable[[], int] = lua.get_memory_used
        self._set_max: Callable[[int], None] = lua.set_max_memory
        self._on_short = on_short
        self._on_crowded = on_crowded
        self._usual = memory_bytes_max
        self._room = room_bytes
        self._limit = self._usual
        """What Lua may have now."""
        self._set_max(self._limit)

    @property
    def is_crowded(self) -> bool:
        """Whether much of it is used."""
        return self._used() > self._usual // 2

    def make_room(self, size: int) -> None:
        """Before Lua is given so many bytes, and runs: let it have them, and as much again as it may be left with."""
        usual = self._usual
        used = self._used()
        if used > usual // 2:
            self._on_crowded()
            used = self._used()
        limit = max(usual, used + 2 * size + usual // 2)
        if limit != self._limit:
            self._limit = limit
            self._set_max(limit)

    def has_room(self, size: int) -> bool:
        """Whether Lua may have so many bytes more. If not it has room for what it is told of that."""
        needed = self._used() + size + self._room
        if needed <= self._limit:
            return True
        self._limit = needed
        self._set_max(needed)
        self._on_short()
        return False

    def lift_limit(self) -> None:
        """Lua is about to be given what nobody knows the size of: see afterwards whether there was room."""
        self._set_max(_UNLIMITED)

    def restore_limit(self) -> None:
        """It has been given."""
        self._set_max(self._limit)
