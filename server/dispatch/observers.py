"""Who looks on: MONITOR, the slow log and its kin, the latency monitor.

Nothing here changes what a command does. The hot path compares a time with `slow_ns` and a size with a threshold, and
comes here when there is something to note.
"""

from functools import partial
from time import perf_counter_ns, time

from server.commands.context import Node
from server.commands.function_calls import client_request
from server.commands.table import Args, Command, Flag, lookup
from server.session import Session
from server.shard.call import Call, Transaction
from server.telemetry.diagnostics import format_monitor_line, monitored_words

_LAST_WORDS = frozenset(("reset", "quit"))


class Observers:
    """Those of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.slow_ns = 0
        """What takes so long is for `was_slow`."""

    def configure(self) -> None:
        """The thresholds of slow log or latency monitor have changed."""
        self.slow_ns = 1000 * min(self._node.slowlog.threshold, self._node.latency.threshold_us)

    # -- what took long, or much --------------------------------------------------------------------------------

    def took(
        self, row: Command, args: Args, session: Session, began_ns: int, *, told_later: bool = False
    ) -> None:
        """A command has kept the loop since `began_ns`. `told_later`: it is done elsewhere, or later, and how long
        that takes will be told."""
        elapsed_ns = perf_counter_ns() - began_ns
        row.elapsed_ns += elapsed_ns
        row.buckets[(elapsed_ns // 1000).bit_length()] += 1
        if elapsed_ns >= self.slow_ns and not told_later:
            self.was_slow(row, args, session, elapsed_ns // 1000)

    def work_done(self, call: Call, seconds: float) -> None:
        """A command that took long was done in slices, here, within so much time."""
        elapsed_us = int(seconds * 1e6)
        each_us = [elapsed_us]
        if call.transaction is not None:
            each_us = [elapsed_ns // 1000 for elapsed_ns in call.transaction.elapsed_ns]
        if call.forwarded is not None:
            call.forwarded.took(each_us)
        else:
            self.took_elsewhere(call, each_us)

    def took_elsewhere(self, call: Call, elapsed_us: list[int]) -> None:
        """A call that was forwarded, or done in slices, took so long, or each command of its transaction. It is in the
        slow log of its client's node, which is the one that can say whose it was, and where that client looks."""
        session = getattr(call.slot, "session", None)
        if call.transaction is not None:
            call.transaction.elapsed_ns = [1000 * each for each in elapsed_us]
            if session is not None:  # a client's of this node
                self.was_run(call.transaction, session)
            return
        call.command.elapsed_ns += 1000 * elapsed_us[0]
        if session is not None and 1000 * elapsed_us[0] >= self.slow_ns:
            self.was_slow(call.command, client_request(call.args), session, elapsed_us[0])

    def was_slow(self, row: Command, args: Args, session: Session, elapsed_us: int) -> None:
        """A command of `session` took so long."""
        if elapsed_us >= self._node.slowlog.threshold and not row.flags & Flag.SKIP_COMMANDLOG:
            if session.blocked is None:
                self._node.slowlog.add(args, elapsed_us, session)
            else:  # it began to wait
                session.blocked.log_slow(partial(self._node.slowlog.add, args, elapsed_us, session))
        if elapsed_us >= self._node.latency.threshold_us:
            self._node.latency.command(row, elapsed_us)

    def had_large_request(self, session: Session, args: Args, size: int) -> None:
        """A request took so many bytes; the caller has compared with the log's threshold."""
        row = lookup(args)
        count = len(args)
        if row is None or row.is_container or not session.authenticated:
            return
        if (
            (row.arity < 0 or count == row.arity)
            and count >= -row.arity
            and not row.flags & Flag.SKIP_COMMANDLOG
        ):
            self._node.large_requests.add(args, size, session)

    def had_large_reply(self, session: Session, args: Args, size: int) -> None:
        """As `had_large_request`, of the reply; what came of it is not asked."""
        row = lookup(args)
        if row is not None and not row.flags & Flag.SKIP_COMMANDLOG:
            self._node.large_replies.add(args, size, session)

    def was_run(self, transaction: Transaction, session: Session) -> None:
        """Of an EXEC the commands are slow, not EXEC itself; none yet when they were not all run at once."""
        if len(transaction.elapsed_ns) < len(transaction.commands):
            return
        for (row, args, _), elapsed_ns in zip(transaction.commands, transaction.elapsed_ns, strict=False):
            if elapsed_ns >= self.slow_ns:
                self.was_slow(row, args, session, elapsed_ns // 1000)

    # -- MONITOR ------------------------------------------------------------------------------------------------

    def monitor(self, session: Session, row: Command, args: Args) -> None:
        """Show a command to those who MONITOR, and with EXEC what it runs: what is queued may never be run."""
        if row.name == "exec" and not session.queue_broken:
            for queued in session.queue or ():
                self._show(session, queued.command, queued.args, queued.db)
        # Who says RESET or QUIT does not listen any more.
        self._show(session, row, args, session.db, session if row.name in _LAST_WORDS else None)

    def _show(self, session: Session, row: Command, args: Args, db: int, but: Session | None = None) -> None:
        # Redis flags scripts so, since it shows them by other means, before what they do.
        if row.flags & (Flag.SKIP_MONITOR | Flag.ADMIN) and row.group != "scripting":
            return
        line = format_monitor_line(time(), db, session.address, monitored_words(args))
        for monitor in self._node.monitors:
            if monitor is not but:
                monitor.outlet.push(line)

    def show_scripted(self, db: int, words: bytes) -> None:
        """Show a command of a script to those who MONITOR."""
        line = format_monitor_line(time(), db, "lua", words)
        for monitor in self._node.monitors:
            monitor.outlet.push(line)
