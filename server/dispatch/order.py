"""Which commands of one client have to be done in the order in which it has sent them: those about one key."""

from server.commands.table import Args, Command, lookup
from server.errors import CLUSTERDOWN, CommandError, not_applied

_NOT_DONE = tuple(b"-" + text.split(b" ", 1)[0] for text in (CLUSTERDOWN, not_applied(b"").text))


class Changes:
    """What requests that were answered may have changed, and how late in their order."""

    def __init__(self) -> None:
        self._last: dict[bytes, int] = {}
        """Key to the place of the last request that may have changed it."""
        self._last_of_any = -1
        """The place of the last one of which nobody can tell what it changed."""
        self._newest = -1

    def add(self, args: Args, reply: bytes, place: int) -> None:
        """The reply to `args` has come; called in the order of places."""
        row = lookup(args)
        if row is None or not (row.is_write or row.name == "exec") or reply.startswith(_NOT_DONE):
            return
        keys = _keys(row, args)
        self._newest = place
        if not keys:
            self._last_of_any = place
        for key in keys:
            self._last[key] = place

    def touch(self, args: Args, place: int) -> bool:
        """Whether one behind `place` may have changed what `args` is about: a request there, or a part of it."""
        row = lookup(args)
        if row is None or self._newest <= place:
            return False
        keys = _keys(row, args)
        return self._last_of_any > place or not keys or any(self._last.get(key, -1) > place for key in keys)


def _keys(row: Command, args: Args) -> set[bytes]:
    """The keys of a request; none: it may be about any."""
    if row.group == "scripting":
        return set()
    try:
        return {args[at] for at in row.keys.indexes(args)}
    except CommandError:
        return set()
