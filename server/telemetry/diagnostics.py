"""What a node writes down about the commands it ran: the slow log, the logs of sizes, latencies, MONITOR's lines.

dispatch/ and net/ feed these after each command, so the entry points are cheap: `value >= log.threshold` before
`CommandLog.add`, and `Latency.record`, which adds one to a bucket. The commands that report them are in
commands/diagnostics.py.

Latencies are kept per command in buckets whose bounds are powers of two of a microsecond: a percentile is so exact to a
factor of two, in 64 integers per command. Latency events (LATENCY LATEST and kin) are the commands that took longer
than latency-monitor-threshold; one sample a second is kept, the worst of it, 160 of them, as Redis does.
"""

from collections import Counter, deque
from dataclasses import dataclass
from time import time

from resp.values import Simple
from server.commands.table import FAST, Command, every_command
from server.parameters.settings import PARAMETER, Settings
from server.session import Session

SLOWLOG_ARGUMENTS_MAX = 32
SLOWLOG_ARGUMENT_BYTES_MAX = 128
LATENCY_SAMPLES_MAX = 160
NEVER = 2**63
"""A threshold that nothing reaches."""

REDACTED = b"(redacted)"


def redacted(args: list[bytes]) -> list[bytes]:
    """`args` with passwords replaced, for the slow log and MONITOR. Returns `args` itself when there are none."""
    name = args[0].lower()
    if name == b"auth":
        return [args[0], *[REDACTED] * (len(args) - 1)]
    if name == b"hello":
        for at in range(2, len(args) - 2):
            if args[at].lower() == b"auth":
                return [*args[: at + 1], REDACTED, REDACTED, *args[at + 3 :]]
    elif name == b"migrate":
        for at in range(6, len(args) - 1):
            count = {b"auth": 1, b"auth2": 2}.get(args[at].lower(), 0)
            if count:
                return [*args[: at + 1], *[REDACTED] * count, *args[at + 1 + count :]]
    elif name == b"acl" and len(args) > 2 and args[1].lower() == b"setuser":
        return [*args[:2], *[REDACTED] * (len(args) - 2)]
    elif name == b"config" and len(args) > 3 and args[1].lower() == b"set":
        shown = list(args)
        for at in range(2, len(args) - 1, 2):
            parameter = PARAMETER.get(args[at].lower().decode("latin-1"))
            if parameter is not None and parameter.secret:
                shown[at + 1] = REDACTED
        return shown
    return args


def request_bytes(args: list[bytes]) -> int:
    """What a request takes on the wire; an inline one as if it were none."""
    counts = Counter(map(len, args))  # a million words have few lengths
    words = sum((length + _header_bytes(length) + 2) * count for length, count in counts.items())
    return _header_bytes(len(args)) + words


def _header_bytes(number: int) -> int:
    """Of `*number` or `$number` and the end of the line."""
    return len(str(number)) + 3


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One command that was slow or large."""

    id: int
    time_s: int
    """Unix time."""
    value: int
    """Microseconds or bytes."""
    args: list[bytes]
    """Trimmed and redacted."""
    address: bytes
    client_name: bytes


class CommandLog:
    """The newest commands that reached a threshold: in time (the slow log), in bytes of the request or of the reply."""

    def __init__(self, settings: Settings, threshold: str, length: str) -> None:
        """The names of the parameters for what an entry has at least, -1 for no entries, and for how many stay."""
        self.entries: deque[LogEntry] = deque()
        """Newest first."""
        self.threshold = NEVER
        """Commands with so much belong into the log; NEVER when it is off."""
        self._next_id = 0
        self._settings = settings
        self._threshold_name = threshold
        self._length_name = length
        self._length = 0
        settings.on_change(self._configure)
        self._configure(frozenset())

    def _configure(self, _changed: frozenset[str]) -> None:
        threshold = self._settings.value(self._threshold_name)
        self._length = self._settings.value(self._length_name)
        self.threshold = threshold if threshold >= 0 and self._length else NEVER
        while len(self.entries) > self._length:
            self.entries.pop()

    def add(self, args: list[bytes], value: int, session: Session) -> None:
        """Log a command. The caller has compared `value` with `threshold`."""
        args = redacted(args)
        count = len(args)
        kept = args if count <= SLOWLOG_ARGUMENTS_MAX else args[: SLOWLOG_ARGUMENTS_MAX - 1]
        trimmed = [
            argument
            if len(argument) <= SLOWLOG_ARGUMENT_BYTES_MAX
            else b"%b... (%d more bytes)"
            % (argument[:SLOWLOG_ARGUMENT_BYTES_MAX], len(argument) - SLOWLOG_ARGUMENT_BYTES_MAX)
            for argument in kept
        ]
        if count > SLOWLOG_ARGUMENTS_MAX:
            trimmed.append(b"... (%d more arguments)" % (count - SLOWLOG_ARGUMENTS_MAX + 1))
        entry = LogEntry(self._next_id, int(time()), value, trimmed, session.address.encode(), session.name)
        self._next_id += 1
        self.entries.appendleft(entry)
        while len(self.entries) > self._length:
            self.entries.pop()

    def reset(self) -> None:
        """SLOWLOG RESET and COMMANDLOG RESET."""
        self.entries.clear()


class LatencyEvent:
    """The samples of one class of events."""

    __slots__ = ("all_time_max_ms", "count", "samples", "sum_ms")

    def __init__(self) -> None:
        self.samples: deque[tuple[int, int]] = deque(maxlen=LATENCY_SAMPLES_MAX)
        """(Unix time in seconds, milliseconds), at most one a second, oldest first."""
        self.all_time_max_ms = 0
        self.sum_ms = 0
        self.count = 0

    def add(self, now_s: int, latency_ms: int) -> None:
        """One more; of several in one second the worst stays."""
        self.all_time_max_ms = max(self.all_time_max_ms, latency_ms)
        self.sum_ms += latency_ms
        self.count += 1
        if self.samples and self.samples[-1][0] == now_s:
            self.samples[-1] = (now_s, max(self.samples[-1][1], latency_ms))
        else:
            self.samples.append((now_s, latency_ms))


class Latency:
    """Latencies of the commands that this node ran: the histograms of the command table, and events."""

    def __init__(self, settings: Settings) -> None:
        self.events: dict[bytes, LatencyEvent] = {}
        self.threshold_us = NEVER
        """Commands that take this long are events; NEVER when the monitor is off."""
        self._settings = settings
        settings.on_change(self._configure)
        self._configure(frozenset())

    def _configure(self, _changed: frozenset[str]) -> None:
        threshold_ms = self._settings.latency_monitor_threshold
        self.threshold_us = threshold_ms * 1000 if threshold_ms else NEVER

    @property
    def histograms(self) -> dict[str, list[int]]:
        """Full name of each command that was called to its buckets (Command.buckets); empty when tracking is off."""
        if not self._settings.latency_tracking:
            return {}
        return {row.name: row.buckets for row in every_command() if any(row.buckets)}

    def command(self, row: Command, usec: int) -> None:
        """`row` was run and took `usec`; the caller has compared with `threshold_us`."""
        self.event(b"fast-command" if row.flags & FAST else b"command", usec // 1000)

    def event(self, name: bytes, latency_ms: int) -> None:
        """An event of class `name` took so long; the caller has compared with latency-monitor-threshold."""
        found = self.events.get(name)
        if found is None:
            found = self.events[name] = LatencyEvent()
        found.add(int(time()), latency_ms)

    def reset_events(self, names: list[bytes]) -> int:
        """LATENCY RESET: forget the classes named, or all; how many there were."""
        found = [name for name in (names or list(self.events)) if self.events.pop(name, None) is not None]
        return len(found)

    def percentile_us(self, name: str, percent: float) -> int:
        """The upper bound of the bucket that holds the percentile; 0 when there are no samples."""
        buckets = self.histograms.get(name, [])
        wanted = sum(buckets) * percent / 100.0
        seen = 0
        for bucket, count in enumerate(buckets):
            seen += count
            if count and seen >= wanted:
                return 1 << bucket
        return 0


_ESCAPES = {92: "\\\\", 34: '\\"', 10: "\\n", 13: "\\r", 9: "\\t", 7: "\\a", 8: "\\b"}
_QUOTED = tuple(
    _ESCAPES.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}") for byte in range(256)
)


def quoted(text: bytes) -> bytes:
    """`text` in double quotes with everything unprintable escaped, as Redis shows arguments."""
    return ('"' + "".join([_QUOTED[byte] for byte in text]) + '"').encode()


def monitored_words(args: list[bytes]) -> bytes:
    """A request as MONITOR shows it; passwords are redacted."""
    return b" ".join([quoted(argument) for argument in redacted(args)])


def format_monitor_line(now_s: float, db: int, address: str, words: bytes) -> Simple:
    """What MONITOR shows of a command, ready to be sent. `now_s`: Unix time; `words`: from monitored_words."""
    return Simple(b"%.6f [%d %b] %b" % (now_s, db, address.encode(), words))
