"""One shard group without a server: commands run against a view over a MemoryStore, as a leader runs them."""

from random import Random
from typing import Any

import server.commands.bits
import server.commands.dump
import server.commands.hash_expiry
import server.commands.hashes
import server.commands.hyperloglog
import server.commands.keys
import server.commands.lists
import server.commands.lists_blocking
import server.commands.object_command
import server.commands.sets
import server.commands.stream_claims
import server.commands.stream_groups
import server.commands.stream_info
import server.commands.streams
import server.commands.strings
import server.commands.zset_ranges
import server.commands.zsets  # noqa: F401
from resp.values import Error
from server.commands.table import SPREAD_KEYS, lookup
from server.errors import CommandError
from server.keyspace.meta import Meta
from server.keyspace.store import MemoryStore
from server.keyspace.view import View


class Group:
    """The keys of one group, and the clock that its commands see."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self.now_ms = now_ms
        self.store = MemoryStore()
        self.meta = Meta.new()
        self.view = View(self.store, self.meta, Random(0))
        self.db = 0
        self.written: dict[bytes, bytes | None] = {}
        """Effects of the last command."""
        self._revision = 0

    def begin(self) -> View:
        """The view, at the start of a command, for tests that have no command."""
        self._revision += 1
        self.view.begin_entry(self.now_ms, self._revision)
        self.view.begin(self.db, protocol=3)
        return self.view

    def commit(self) -> None:
        """What the view wrote is in the store from now on."""
        self.written = self.view.take_effects()
        self.store.write(self.written)

    def run(self, *args: str | bytes) -> Any:
        """The reply to a request; an error is an `Error`, and then nothing was written."""
        request = [arg.encode() if isinstance(arg, str) else arg for arg in args]
        row = lookup(request)
        if row is None or row.is_container:
            return Error(b"ERR unknown command '" + request[0] + b"'")
        view = self.begin()
        try:
            row.check_arity(request)
            if row.where is SPREAD_KEYS:
                request = [request[0], *(request[index] for index in row.keys.indexes(request))]
            reply = row.handler(view, request)
        except CommandError as error:
            view.rollback()
            self.written = {}
            return Error(error.text)
        self.commit()
        return reply
