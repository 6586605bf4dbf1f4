"""SLOWLOG, LATENCY and MONITOR: reports of what server/telemetry/diagnostics.py wrote down."""

from itertools import pairwise
from time import time

from resp.values import OK, Verbatim
from server.commands.arguments import bounded_integer
from server.commands.context import Context
from server.commands.help import help_reply
from server.commands.table import (
    ADMIN,
    LOADING,
    NODE,
    NOSCRIPT,
    STALE,
    Args,
    Reply,
    command,
    container,
    lookup,
)
from server.errors import CommandError
from server.telemetry.diagnostics import LatencyEvent
from server.telemetry.sparkline import sparkline

_SLOWLOG = ADMIN | LOADING | STALE
_LATENCY = _SLOWLOG | NOSCRIPT

container("slowlog", since="2.2.12", group="server", summary="A container for slow log commands")


@command(
    "slowlog|get",
    arity=-2,
    flags=_SLOWLOG,
    where=NODE,
    since="2.2.12",
    group="server",
    complexity="O(N) where N is the number of entries returned",
)
def slowlog_get(context: Context, args: Args) -> Reply:
    """Returns the slow log's entries."""
    entries = list(context.node.slowlog.entries)
    if len(args) > 3:
        raise CommandError(
            b"ERR unknown subcommand or wrong number of arguments for '%b'. Try SLOWLOG HELP." % args[1]
        )
    if len(args) == 3:
        count = bounded_integer(args[2], -1, 2**63 - 1, b"ERR count should be greater than or equal to -1")
        entries = entries if count == -1 else entries[:count]
    else:
        entries = entries[:10]
    return [[one.id, one.time_s, one.value, one.args, one.address, one.client_name] for one in entries]


@command("slowlog|len", arity=2, flags=_SLOWLOG, where=NODE, since="2.2.12", group="server")
def slowlog_len(context: Context, args: Args) -> Reply:
    """Returns the number of entries in the slow log."""
    return len(context.node.slowlog.entries)


@command(
    "slowlog|reset",
    arity=2,
    flags=_SLOWLOG,
    where=NODE,
    since="2.2.12",
    group="server",
    complexity="O(N) where N is the number of entries in the slowlog",
)
def slowlog_reset(context: Context, args: Args) -> Reply:
    """Clears all entries from the slow log."""
    context.node.slowlog.reset()
    return OK


@command("slowlog|help", arity=2, flags=LOADING | STALE, where=NODE, since="6.2.0", group="server")
def slowlog_help(context: Context, args: Args) -> Reply:
    """Shows helpful text about the different subcommands."""
    return help_reply(b"SLOWLOG", _SLOWLOG_HELP)


container("latency", since="2.8.13", group="server", summary="A container for latency diagnostics commands")


@command("latency|latest", arity=2, flags=_LATENCY, where=NODE, since="2.8.13", group="server")
def latency_latest(context: Context, args: Args) -> Reply:
    """Returns the latest latency samples for all events."""
    return [
        [name, *event.samples[-1], event.all_time_max_ms, event.sum_ms, event.count]
        for name, event in context.node.latency.events.items()
    ]


@command("latency|history", arity=3, flags=_LATENCY, where=NODE, since="2.8.13", group="server")
def latency_history(context: Context, args: Args) -> Reply:
    """Returns timestamp-latency samples for an event."""
    event = context.node.latency.events.get(args[2])
    return [list(sample) for sample in event.samples] if event is not None else []


@command("latency|reset", arity=-2, flags=_LATENCY, where=NODE, since="2.8.13", group="server")
def latency_reset(context: Context, args: Args) -> Reply:
    """Resets the latency data for one or more events."""
    return context.node.latency.reset_events(args[2:])


@command("latency|graph", arity=3, flags=_LATENCY, where=NODE, since="2.8.13", group="server")
def latency_graph(context: Context, args: Args) -> Reply:
    """Returns a latency graph for an event."""
    event = context.node.latency.events.get(args[2])
    if event is None:
        raise CommandError(b"ERR No samples available for event '%b'" % args[2])
    values = [latency_ms for _, latency_ms in event.samples]
    now_s = int(time())
    head = (
        f"{args[2].decode('latin-1')} - high {max(values)} ms, low {min(values)} ms "
        f"(all time high {event.all_time_max_ms} ms)\n{'-' * 80}\n"
    )
    labels = [_elapsed(now_s - at_s) for at_s, _ in event.samples]
    return Verbatim((head + sparkline(values, labels)).encode("latin-1"))


def _elapsed(seconds: int) -> str:
    for size_s, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size_s:
            return f"{seconds // size_s}{unit}"
    return f"{seconds}s"


@command(
    "latency|histogram",
    arity=-2,
    flags=_LATENCY,
    where=NODE,
    since="7.0.0",
    group="server",
    complexity="O(N) where N is the number of commands with latency information being retrieved.",
)
def latency_histogram(context: Context, args: Args) -> Reply:
    """Returns the cumulative distribution of latencies of a subset or all commands."""
    histograms = context.node.latency.histograms
    if len(args) == 2:
        names = list(histograms)
    else:
        names = []
        for word in args[2:]:
            row = lookup(word.split(b"|")) if word else None
            if row is not None and row.error_name == word.lower():
                names += [row.name, *(one.name for one in row.subcommands.values())]
    reply = {}
    for name in dict.fromkeys(names):
        buckets = histograms.get(name)
        if buckets is None:
            continue
        bounds: dict[int, int] = {}
        total = 0
        for bucket, count in enumerate(buckets):
            total += count
            if count:
                bounds[1 << bucket] = total
        reply[name.encode()] = {b"calls": total, b"histogram_usec": bounds}
    return reply


@command("latency|doctor", arity=2, flags=_LATENCY, where=NODE, since="2.8.13", group="server")
def latency_doctor(context: Context, args: Args) -> Reply:
    """Returns a human-readable latency analysis report."""
    node = context.node
    if not node.settings.latency_monitor_threshold:
        return Verbatim(
            b"Latency monitoring is disabled in this server. You may use "
            b'"CONFIG SET latency-monitor-threshold <milliseconds>." in order to enable it.\n'
        )
    if not node.latency.events:
        return Verbatim(b"No latency spike was observed since the events were last reset.\n")
    lines = ["Latency spikes are observed in this server.", ""]
    for number, (name, event) in enumerate(node.latency.events.items(), 1):
        lines.append(f"{number}. {name.decode()}: {_diagnosis(event)}")
    lines += [
        "",
        "Here is some advice for you:",
        "",
        "- Check SLOWLOG to see which commands are slow to execute.",
        "- INFO raft shows how far the replicas of each shard group are behind: a write waits for a majority of them.",
    ]
    return Verbatim("\n".join(lines).encode() + b"\n")


def _diagnosis(event: LatencyEvent) -> str:
    values = [latency_ms for _, latency_ms in event.samples]
    average = sum(values) / len(values)
    deviation = sum(abs(value - average) for value in values) / len(values)
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(event.samples)]
    period_s = sum(gaps) / len(gaps) if gaps else 0.0
    return (
        f"{len(values)} latency spikes (average {average:.0f}ms, mean deviation {deviation:.0f}ms, "
        f"period {period_s:.2f} sec). Worst all time event {event.all_time_max_ms}ms."
    )


@command("latency|help", arity=2, flags=LOADING | STALE, where=NODE, since="2.8.13", group="server")
def latency_help(context: Context, args: Args) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_reply(b"LATENCY", _LATENCY_HELP)


@command(
    "monitor", arity=1, flags=ADMIN | NOSCRIPT | LOADING | STALE, where=NODE, group="server", complexity=""
)
def monitor(context: Context, args: Args) -> Reply:
    """Listens for all requests received by the server in real-time."""
    context.session.monitoring = True
    context.node.monitors.add(context.session)
    context.node.monitors_changed()
    return OK


_SLOWLOG_HELP = """
GET [<count>]
    Return top <count> entries from the slowlog (default: 10, -1 mean all).
    Entries are made of:
    id, timestamp, time in microseconds, arguments array, client IP and port,
    client name
LEN
    Return the length of the slowlog.
RESET
    Reset the slowlog.
"""

_LATENCY_HELP = """
DOCTOR
    Return a human readable latency analysis report.
GRAPH <event>
    Return an ASCII latency graph for the <event> class.
HISTORY <event>
    Return time-latency samples for the <event> class.
LATEST
    Return the latest latency samples for all events.
RESET [<event> ...]
    Reset latency data of one or more <event> classes.
    (default: reset all data for all event classes)
HISTOGRAM [COMMAND ...]
    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.
    If no commands are specified then all histograms are replied.
"""
