"""Commands of clients that cache what they read: see server/pubsub/tracking.py for what they may rely on.

The keys of a read are remembered before anybody evaluates it. What a NOLOOP client writes carries its name to whoever
evaluates it. Two things are done for the sake of fewer words:

* The keys that a script names are not remembered if it reads none (if it reads some, Redis 7.0 remembers all that it
  names, Valkey those that it reads), and what it reads beyond them is, if it is evaluated here. While one that takes
  long, or is done elsewhere, is at it, the same client may read these keys by other commands; then they are
  remembered, whatever the script did.
* A transaction that writes a key before it reads it (and not after) has seen its own change: it carries a name under
  which this client is not told of it.
"""

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

from server.commands.table import Args, Command, Flag
from server.dispatch.connection import Connection
from server.dispatch.places import Places
from server.errors import CommandError
from server.keyspace.notes import ScriptNotes
from server.session import Queued, Session, Tracker

if TYPE_CHECKING:
    from server.pubsub.tracking import Tracking

GO_ON = b"go on"
"""Stands for a reply: nothing stands between the command and its client."""


class Caching:
    """The part of dispatch that knows sessions with CLIENT TRACKING ON."""

    def __init__(
        self,
        places: Places,
        tracking: "Tracking",
        run: Callable[[Connection, Command, Args], bytes | None],
    ) -> None:
        """`run`: do a command that was let pass, as a call that says whose it is."""
        self._places = places
        self._tracking = tracking
        self._run = run
        self._transactions = count(1)

    def run(self, connection: Connection, tracker: Tracker, row: Command, args: Args) -> bytes | None:
        """Note what a command is about to read; GO_ON, or its reply where it had to be run here."""
        session = connection.session
        if row.name.startswith("client|"):
            return GO_ON
        remembers = tracker.remembers
        if row.name != "multi":
            tracker.caching = False
        if row.name == "exec":
            return self._transaction(connection, tracker, remembers, row, args)
        new = self._remember(session, tracker, row, args) if remembers else []
        if row.is_node:
            return GO_ON
        if remembers and row.group == "scripting":
            return self._script(connection, tracker, new, row, args)
        if row.is_write and session.origin:
            return self._run(connection, row, args)
        return GO_ON

    def _remember(self, session: Session, tracker: Tracker, row: Command, args: Args) -> list[bytes]:
        """The keys that were not remembered before."""
        keys = _read_keys(row, args)
        if not keys or self._is_moved(session, keys):
            return []
        tracker.reads += 1
        return self._tracking.remember(session, keys)

    def _is_moved(self, session: Session, keys: list[bytes]) -> bool:
        """Whether the answer is MOVED: another node will remember what the client reads there."""
        if session.readonly:
            return False
        routes = {self._places.route_of(key) for key in keys}
        return all(route.here is None and self._places.redirects(route) for route in routes)

    def _script(
        self, connection: Connection, tracker: Tracker, new: list[bytes], row: Command, args: Args
    ) -> bytes | None:
        session = connection.session
        notes = ScriptNotes()
        before = tracker.reads

        def settle() -> None:
            if session.tracking is not tracker:
                return
            if not notes.untouched:
                self._tracking.remember(session, [*new, *(notes.keys or ())])
            elif tracker.reads == before:
                self._tracking.forget(session, new)

        notes.then = settle
        tracker.notes = notes
        try:
            return self._run(connection, row, args)
        finally:
            tracker.notes = None

    def _transaction(
        self, connection: Connection, tracker: Tracker, remembers: bool, row: Command, args: Args
    ) -> bytes | None:
        session = connection.session
        queue = session.queue
        if not queue or not remembers:
            return GO_ON
        for queued in queue:
            self._remember(session, tracker, queued.command, queued.args)
        seen = _read_after_written(queue)
        if not seen or tracker.noloop:
            return GO_ON
        session.origin = b"%b:%d" % (self._tracking.name(session), next(self._transactions))
        self._tracking.has_seen(session, session.origin, seen)
        try:
            return self._run(connection, row, args)
        finally:
            session.origin = b""


def _read_keys(row: Command, args: Args) -> list[bytes]:
    """The keys that a command may read for its client."""
    if not (row.flags & Flag.READONLY or row.group == "scripting") or row.keys.access == "not_key":
        return []
    return _keys(row, args)


def _keys(row: Command, args: Args) -> list[bytes]:
    try:
        return [args[at] for at in row.keys.indexes(args)]
    except CommandError:
        return []  # it will do nothing to any


def _read_after_written(queue: list[Queued]) -> set[bytes]:
    """Keys that commands of a transaction write and others, all of them later, read."""
    written: set[bytes] = set()
    read: set[bytes] = set()
    late: set[bytes] = set()
    for queued in queue:
        row = queued.command
        if row.group == "scripting":
            return set()  # nobody knows what it does
        keys = _keys(row, queued.args)
        if row.is_write:
            written.update(keys)
            late.update(key for key in keys if key in read)
        elif not row.is_node:
            read.update(keys)
    return (written & read) - late
