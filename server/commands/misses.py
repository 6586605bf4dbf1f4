"""Keyspace events of the class m: a command read a key that is not there.

The view notes every look-up that finds nothing (`KEY_MISS`), as it can not know what for. Which of them are told is
Redis's choice: those of commands that read, and of the reading half of some that write. To let one more be told, add it
to `_READING_WRITES`. A script is told of command by command. Not told are reads that a replica answers.
"""

from server.commands.table import Args, Command
from server.keyspace.events import KEY_MISS, Event

_SILENT = ("object|", "memory|", "_")
"""Names that begin with these look without being heard."""
_READING_WRITES: dict[str, tuple[int, int | None]] = {
    "getex": (1, 2),
    "getdel": (1, 2),
    "getset": (1, 2),
    "copy": (1, 2),
    "sort": (1, 2),
    "bitop": (3, None),
    "pfmerge": (1, None),
    "sinterstore": (2, None),
    "sunionstore": (2, None),
    "sdiffstore": (2, None),
    "zinterstore": (3, None),
    "zunionstore": (3, None),
    "zdiffstore": (3, None),
    "zrangestore": (2, 3),
    "georadius": (1, 2),
    "georadiusbymember": (1, 2),
    "geosearchstore": (2, 3),
    "xreadgroup": (4, None),
}
"""Commands that write, and the arguments (from, up to) among which the keys are that they read."""


def told(command: Command, args: Args, events: list[Event]) -> list[Event]:
    """Those of a command's events that are told: each key's miss once, if at all."""
    if command.group == "scripting":
        return events
    first, stop = 1, None
    if command.is_write:
        first, stop = _READING_WRITES.get(command.name, (0, None))
        if command.name == "set" and any(argument.upper() == b"GET" for argument in args[3:]):
            first, stop = 1, 2
    heard: set[bytes] = set(args[first:stop]) if first and not command.name.startswith(_SILENT) else set()
    kept = []
    for event in events:
        if event[0] == KEY_MISS:
            if event[3] not in heard:
                continue
            heard.discard(event[3])
        kept.append(event)
    return kept
