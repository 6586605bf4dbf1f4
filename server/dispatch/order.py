"""Which commands of one client have to be done in the order in which it has sent them: those about one key."""

from server.commands.table import Args, Command, lookup
from server.errors import CLUSTERDOWN, CommandError, not_applied

_NOT_DONE = tuple(b"-" + text.split(b" ", 1)[0] for text in (CLUSTERDOWN, not_applied(b"").text))


class Changes:
    """What requests that were answered may have changed."""

    def __init__(self) -> None:
        self._keys: set[bytes] = set()
        self._some = False
        self._any = False
        """Nobody can tell what."""

    def add(self, args: Args, reply: bytes) -> None:
        """The reply to `args` has come."""
        row = lookup(args)
        if row is None or not (row.is_write or row.name == "exec") or reply.startswith(_NOT_DONE):
            return
        keys = _keys(row, args)
        self._some = True
        self._any = self._any or not keys
        self._keys |= keys

    def touch(self, args: Args) -> bool:
        """Whether it may be something that the request `args` is about."""
        row = lookup(args)
        if row is None or not self._some:
            return False
        keys = _keys(row, args)
        return self._any or not keys or not keys.isdisjoint(self._keys)


def _keys(row: Command, args: Args) -> set[bytes]:
    """The keys of a request; none: it may be about any."""
    if row.group == "scripting":
        return set()
    try:
        return {args[at] for at in row.keys.indexes(args)}
    except CommandError:
        return set()
