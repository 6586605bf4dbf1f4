"""The slow log, latencies and MONITOR's lines."""

from collections.abc import Iterator
from typing import Any

import pytest

from resp.values import Error, Simple
from server.commands.table import COMMANDS, Command, every_command
from server.parameters.settings import Settings
from server.telemetry.diagnostics import NEVER, CommandLog, format_monitor_line, monitored_words, redacted
from server.telemetry.sparkline import sparkline
from tests.server.service_node import ServiceNode

PING, CONFIG = COMMANDS[b"ping"], COMMANDS[b"config"]


@pytest.fixture
def node() -> Iterator[ServiceNode]:
    yield ServiceNode()
    for row in every_command():
        row.forget_statistics()


def record(row: Command, usec: int) -> None:
    """As dispatch notes that `row` took `usec`."""
    row.buckets[usec.bit_length()] += 1


async def slow(node: ServiceNode, *args: bytes) -> list[bytes]:
    """What the slow log keeps of a request."""
    node.slowlog.add(list(args), 12345, node.session)
    reply: Any = await node.run("SLOWLOG", "GET", "1")
    return list(reply[0][3])


async def test_a_slow_command_is_logged_with_who_sent_it(node: ServiceNode) -> None:
    node.session.name = b"someone"
    node.slowlog.add([b"GET", b"key"], 12345, node.session)
    [entry] = await node.run("SLOWLOG", "GET")
    assert entry[0] == 0
    assert entry[2:] == [12345, [b"GET", b"key"], b"127.0.0.1:5000", b"someone"]


async def test_the_newest_come_first_and_ten_unless_told_otherwise(node: ServiceNode) -> None:
    for number in range(12):
        node.slowlog.add([b"GET", b"%d" % number], 1, node.session)
    assert [entry[0] for entry in await node.run("SLOWLOG", "GET")] == list(range(11, 1, -1))
    assert len(await node.run("SLOWLOG", "GET", "-1")) == 12
    assert await node.run("SLOWLOG", "LEN") == 12
    await node.run("SLOWLOG", "RESET")
    assert await node.run("SLOWLOG", "GET", "-1") == []


async def test_long_requests_are_trimmed(node: ServiceNode) -> None:
    kept = await slow(node, b"MSET", *[b"x"] * 40)
    assert len(kept) == 32
    assert kept[-1] == b"... (10 more arguments)"
    assert await slow(node, b"SET", b"k", b"v" * 130) == [b"SET", b"k", b"v" * 128 + b"... (2 more bytes)"]


async def test_passwords_are_not_logged(node: ServiceNode) -> None:
    hidden = b"(redacted)"
    assert await slow(node, b"AUTH", b"user", b"secret") == [b"AUTH", hidden, hidden]
    assert await slow(node, b"CONFIG", b"SET", b"hz", b"10", b"RequirePass", b"secret") == [
        b"CONFIG",
        b"SET",
        b"hz",
        b"10",
        b"RequirePass",
        hidden,
    ]
    assert redacted([b"HELLO", b"3", b"AUTH", b"u", b"p", b"SETNAME", b"n"])[3:5] == [hidden, hidden]


def test_the_log_follows_its_parameters() -> None:
    settings = Settings()
    log = CommandLog(settings, "slowlog-log-slower-than", "slowlog-max-len")
    assert log.threshold == 10_000
    settings.set([(b"slowlog-log-slower-than", b"0")])
    assert log.threshold == 0
    settings.set([(b"slowlog-log-slower-than", b"-1")])
    assert log.threshold == NEVER
    settings.set([(b"slowlog-log-slower-than", b"5"), (b"slowlog-max-len", b"0")])
    assert log.threshold == NEVER


async def test_a_shorter_log_forgets_the_oldest(node: ServiceNode) -> None:
    for number in range(5):
        node.slowlog.add([b"%d" % number], 1, node.session)
    node.settings.set([(b"slowlog-max-len", b"2")])
    assert [entry.id for entry in node.slowlog.entries] == [4, 3]


async def test_latencies_are_counted_in_powers_of_two(node: ServiceNode) -> None:
    for usec in (0, 1, 2, 3, 4, 5, 1000):
        record(PING, usec)
    histogram = await node.run("LATENCY", "HISTOGRAM", "ping", "nosuch")
    assert histogram == {b"ping": {b"calls": 7, b"histogram_usec": {1: 1, 2: 2, 4: 4, 8: 6, 1024: 7}}}


async def test_a_containers_histogram_is_that_of_its_subcommands(node: ServiceNode) -> None:
    record(CONFIG.subcommands[b"get"], 3)
    assert list(await node.run("LATENCY", "HISTOGRAM", "config")) == [b"config|get"]
    assert list(await node.run("LATENCY", "HISTOGRAM", "config|get")) == [b"config|get"]
    assert list(await node.run("LATENCY", "HISTOGRAM")) == [b"config|get"]


def test_percentiles_are_the_bounds_of_their_buckets(node: ServiceNode) -> None:
    latency = node.latency
    for usec in [3] * 98 + [100, 5000]:
        record(PING, usec)
    assert [latency.percentile_us("ping", percent) for percent in (0, 50, 99, 99.9, 100)] == [
        4,
        4,
        128,
        8192,
        8192,
    ]
    assert latency.percentile_us("nosuch", 50) == 0


def test_nothing_is_shown_when_tracking_is_off(node: ServiceNode) -> None:
    latency = node.latency
    node.settings.set([(b"latency-tracking", b"no")])
    record(PING, 3)
    assert latency.histograms == {}


async def test_commands_over_the_threshold_are_events(node: ServiceNode) -> None:
    assert node.latency.threshold_us == NEVER
    assert await node.run("LATENCY", "LATEST") == []
    node.settings.set([(b"latency-monitor-threshold", b"100")])
    assert node.latency.threshold_us == 100_000
    node.latency.command(PING, 200_000)
    node.latency.command(CONFIG, 150_000)
    latest = await node.run("LATENCY", "LATEST")
    assert [[event[0], *event[2:]] for event in latest] == [
        [b"fast-command", 200, 200, 200, 1],
        [b"command", 150, 150, 150, 1],
    ]
    assert await node.run("LATENCY", "RESET", "command", "nosuch") == 1
    assert [event[0] for event in await node.run("LATENCY", "LATEST")] == [b"fast-command"]
    assert await node.run("LATENCY", "RESET") == 1


async def test_of_one_second_the_worst_sample_is_kept(
    node: ServiceNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    for now_s, latency_ms in ((100.0, 5), (100.9, 9), (100.99, 7), (101.0, 6)):
        monkeypatch.setattr("server.telemetry.diagnostics.time", lambda now_s=now_s: now_s)
        node.latency.event(b"command", latency_ms)
    assert await node.run("LATENCY", "HISTORY", "command") == [[100, 9], [101, 6]]
    assert await node.run("LATENCY", "LATEST") == [[b"command", 101, 6, 9, 27, 4]]


async def test_the_doctor_reports_spikes(node: ServiceNode) -> None:
    assert "disabled" in await node.text("LATENCY", "DOCTOR")
    node.settings.set([(b"latency-monitor-threshold", b"1")])
    assert "No latency spike" in await node.text("LATENCY", "DOCTOR")
    node.latency.event(b"command", 30)
    assert "1. command: 1 latency spikes (average 30ms" in await node.text("LATENCY", "DOCTOR")


async def test_the_graph_has_the_bounds_in_its_head(node: ServiceNode) -> None:
    node.latency.event(b"command", 30)
    assert (await node.text("LATENCY", "GRAPH", "command")).startswith("command - high 30 ms, low 30 ms")
    assert await node.run("LATENCY", "GRAPH", "nosuch") == Error(
        b"ERR No samples available for event 'nosuch'"
    )


def test_a_sparkline_rises_with_its_values_and_has_its_labels_below() -> None:
    assert sparkline([0, 5, 11], ["3s", "2m", "10h"]).split("\n") == [
        "  #",
        "  |",
        " #|",
        "_||",
        "",
        "321",
        "sm0",
        "  h",
        "",
    ]


def test_monitor_lines_quote_what_can_not_be_printed() -> None:
    line = format_monitor_line(
        1.5, 3, "127.0.0.1:5000", monitored_words([b"set", b'a"b\\', b"\x00\xff\n\r\t\a\b"])
    )
    assert line == Simple(rb'1.500000 [3 127.0.0.1:5000] "set" "a\"b\\" "\x00\xff\n\r\t\a\b"')


async def test_monitor_begins_and_reset_ends_it(node: ServiceNode) -> None:
    await node.run("MONITOR")
    assert node.monitors == {node.session}
    assert "flags=O" in await node.text("CLIENT", "INFO")
    await node.run("RESET")
    assert node.monitors == set()
    assert not node.session.monitoring
    assert node.events == ["monitors changed", "monitors changed"]
