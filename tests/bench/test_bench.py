"""What the benchmark reads, writes and computes, without a server."""

import io
import json
import math
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, cast

import pytest
from click.testing import CliRunner
from rich.console import Console

from tests.bench import cluster, command_load, grpc_load, measure, redis_load, report, standalone, types
from tests.bench.__main__ import PARTS, main
from tests.bench.command_load import RUN, CommandBenchmark, Operation
from tests.bench.failover import longest_gap_s
from tests.bench.measure import Cell, Comparison, Load, Sample, Subject, median_ratio, percentile
from tests.bench.progress import Progress
from tests.bench.servers import Deployment, ServerFailed, cpu_clock

REDIS_BENCHMARK_CSV = """\
WARNING: Could not fetch server CONFIG
"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
"GET","55555.56","0.451","0.088","0.439","0.615","0.831","2.655"
"""
H2LOAD = """\
starting benchmark...
finished in 123.32ms, 16217.84 req/s, 1.46MB/s
requests: 2000 total, 2000 started, 2000 done, 1990 succeeded, 10 failed, 3 errored, 1 timeout
status codes: 1990 2xx, 0 3xx, 0 4xx, 7 5xx
traffic: 184.64KB (189074) total, 4.49KB (4600) headers (space savings 93.95%), 62.38KB (63874) data
"""
CELL = Cell("set", 50, targets={"Valkey": 0.7})


def sample(throughput_per_s: float, cpu_us_per_op: float = 10.0) -> Sample:
    return Sample(1000, throughput_per_s, 1.0, 2.0, cpu_us_per_op)


def comparison(ours: list[Sample], theirs: list[Sample]) -> Comparison:
    samples = {CELL.name: {"Redraft": ours, "Valkey": theirs}}
    return Comparison(
        [CELL], ["Redraft", "Valkey"], samples, {CELL.name: {"Redraft": [50 << 20], "Valkey": [1 << 20]}}
    )


def shown(given: report.Report) -> str:
    console = Console(width=160, file=io.StringIO())
    with console.capture() as capture:
        report.show(console, given)
    return capture.get()


class TestRedisBenchmark:
    def test_a_row_is_found_by_the_names_of_its_columns(self) -> None:
        (row,) = redis_load.parse_csv(REDIS_BENCHMARK_CSV)
        assert row == redis_load.Row("GET", 55555.56, 0.439, 0.831)

    def test_output_without_a_table_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="no table"):
            redis_load.parse_csv("Could not connect to server")

    def test_clients_at_the_same_time_add_up_and_the_slower_counts(self) -> None:
        rows = [redis_load.Row("GET", 100.0, 1.0, 9.0), redis_load.Row("SET", 50.0, 2.0, 3.0)]
        load = redis_load.combine(rows, 300)
        assert (load.operations, load.throughput_per_s, load.p50_ms, load.p99_ms) == (300, 150.0, 2.0, 9.0)

    def test_the_time_in_which_a_client_with_threads_looks_for_its_end_does_not_count(self) -> None:
        row = redis_load.Row("GET", 100.0, 1.0, 9.0)  # 200 requests in 2 s, the last quarter for nothing
        assert redis_load.without_idle_end(row, 200, 0.25).throughput_per_s == pytest.approx(200 / 1.75)
        assert redis_load.without_idle_end(row, 200, 0.0) == row
        assert redis_load.without_idle_end(row, 200, 0.5) == redis_load.without_idle_end(row, 200, 0.25)

    def test_the_loader_writes_every_key_once_as_redis_benchmark_names_it(self) -> None:
        keys = 2 * redis_load.window_commands + 3
        batches = list(redis_load._batches(keys))
        data = b"".join(batch for batch, _ in batches)
        assert [count for _, count in batches] == [redis_load.window_commands, redis_load.window_commands, 3]
        assert data.count(b"*3\r\n$3\r\nSET\r\n$16\r\n") == keys
        value = b"$64\r\n" + 64 * b"x" + b"\r\n"
        assert batches[0][0].startswith(b"*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000000\r\n" + value)
        assert (
            len({data[at : at + 16] for at in range(data.index(b"key:"), len(data), len(data) // keys)})
            == keys
        )


class TestCommands:
    """Rounds that measure the same."""

    @pytest.fixture
    def sent(self, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
        """What redis-benchmark would have been started with, from -n on; it does 100 in a second."""
        sent: list[list[str]] = []

        def run_benchmark(arguments: Sequence[str]) -> redis_load.Row:
            sent.append(list(arguments[arguments.index("-n") + 1 :]))
            return redis_load.Row("", 100.0, 1.0, 1.0)

        monkeypatch.setattr(command_load, "run_benchmark", run_benchmark)
        monkeypatch.setattr(command_load, "need", lambda program, _: program)
        return sent

    def test_what_a_run_takes_away_is_put_back_before_it(self, sent: list[list[str]]) -> None:
        driver = CommandBenchmark(0, {"LPOP": Operation(("LPOP", "k"), 9, ("RPUSH", "k", "v"))})
        cell = Cell("LPOP", 5)
        driver.prepare(cell)
        for _ in range(2):
            assert driver.refill(cell, 3.0)
            driver.run(cell, 3.0)
        probe = str(command_load.probe_requests)
        for number, (there, taken) in enumerate(zip(sent[::2], sent[1::2], strict=True)):
            count = "300" if number else probe
            assert there == [count, "-c", "5", "-P", "50", "-r", str(9 - number), "RPUSH", "k", "v"]
            assert taken == [count, "-c", "5", "-P", "1", "-r", str(8 - number), "LPOP", "k"]

    def test_what_adds_finds_a_key_that_is_not_there(self, sent: list[list[str]]) -> None:
        driver = CommandBenchmark(0, {"SADD": Operation(("SADD", f"set:{RUN}", "m"))})
        cell = Cell("SADD", 5)
        driver.prepare(cell)
        assert not driver.refill(cell, 1.0)
        driver.run(cell, 1.0)
        driver.run(cell, 1.0)
        assert [words[-2] for words in sent] == ["set:1", "set:2", "set:3"]

    def test_nothing_of_that_is_measured_and_a_round_begins_at_rest(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        done: list[str] = []

        class Server:
            """Stands for one that works when it is told to."""

            cpu_s = 0.0
            rss_bytes = 0

        class Driver:
            def prepare(self, cell: Cell) -> None: ...

            def refill(self, cell: Cell, seconds: float) -> bool:
                Server.cpu_s += 5
                done.append("refill")
                return True

            def run(self, cell: Cell, seconds: float) -> Load:
                Server.cpu_s += 1
                done.append("run")
                return Load(1000, 1.0, 1.0, 1.0)

        def sleep(_: float) -> None:
            busy = done[-1] == "refill"
            Server.cpu_s += 2 if busy else 0
            done.append("busy" if busy else "at rest")

        monkeypatch.setattr(measure.time, "sleep", sleep)
        subject = Subject("one", cast(Deployment, Server), Driver())
        with Progress() as progress:
            result = measure.compare([subject], [CELL], 2, 1.0, progress)
        assert done == ["refill", "busy", "at rest", "run"] * 2
        assert [one.cpu_us_per_op for one in result.samples[CELL.name]["one"]] == [1000.0, 1000.0]

    def test_every_command_that_takes_away_puts_back(self) -> None:
        for name, (operation, _) in types.OPERATIONS.items():
            assert bool(operation.refill) == ("POP" in operation.words[0]), name
            if operation.refill:
                assert operation.refill[1] == operation.words[1], "the same key"


class TestEtcd:
    def test_a_put_is_two_fields_of_bytes(self) -> None:
        assert grpc_load.put_request(b"k", b"val") == b"\x0a\x01k\x12\x03val"

    def test_a_range_of_one_key_is_linearizable_since_it_says_nothing_else(self) -> None:
        assert grpc_load.range_request(b"key") == b"\x0a\x03key"

    def test_lengths_above_127_take_two_bytes(self) -> None:
        assert grpc_load.put_request(b"k", 300 * b"v").startswith(b"\x0a\x01k\x12\xac\x02v")

    def test_a_frame_is_not_compressed_and_says_its_length(self) -> None:
        assert grpc_load.frame(b"abc") == b"\x00\x00\x00\x00\x03abc"

    def test_h2load_says_what_failed_and_how_much_came_back(self) -> None:
        assert grpc_load.parse_output(H2LOAD) == grpc_load.Output(1990, 10, 16217.84, 63874)

    def test_output_without_a_result_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="no result"):
            grpc_load.parse_output("[ERROR] Could not resolve host")

    def test_latencies_are_read_from_the_log(self) -> None:
        assert grpc_load.parse_log(["1795257460679114\t200\t473", "1795257460679152\t200\t2441"]) == [
            0.473,
            2.441,
        ]

    @pytest.mark.parametrize(
        ("command", "output", "revisions"),
        [
            ("set", grpc_load.Output(99, 1, 1.0, 9000), 100),
            ("set", grpc_load.Output(100, 0, 1.0, 9000), 99),
            ("get", grpc_load.Output(100, 0, 1.0, 100), 0),
        ],
        ids=["a failed call", "a put that did not happen", "replies without a value"],
    )
    def test_calls_that_did_nothing_do_not_count(
        self, command: str, output: grpc_load.Output, revisions: int
    ) -> None:
        with pytest.raises(ServerFailed):
            grpc_load._check(Cell(command, 50), 100, output, revisions)

    def test_calls_that_did_their_work_do(self) -> None:
        grpc_load._check(Cell("set", 50), 100, grpc_load.Output(100, 0, 1.0, 3000), 100)
        grpc_load._check(Cell("get", 50), 100, grpc_load.Output(100, 0, 1.0, 12800), 0)


class TestFigures:
    def test_a_ratio_is_the_median_of_those_within_a_round(self) -> None:
        # The machine was four times as slow in the second round, for both.
        assert median_ratio([100.0, 25.0, 90.0], [200.0, 50.0, 180.0]) == 0.5

    def test_nothing_is_divided_by_zero(self) -> None:
        assert median_ratio([1.0, 2.0], [0.0, 4.0]) == 0.5
        assert math.isnan(median_ratio([1.0], [0.0]))

    def test_percentiles_are_values_that_were_measured(self) -> None:
        assert percentile([4.0, 1.0, 3.0, 2.0], 50) == 2.0
        assert percentile(range(1, 101), 99) == 99
        assert percentile([7.0], 99) == 7.0
        assert percentile([], 50) == 0.0

    def test_the_longest_gap_reaches_over_both_ends(self) -> None:
        writes_s = [1.0, 2.0, 2.1, 5.0, 5.1]
        assert longest_gap_s(writes_s, 2.2, 4.0) == pytest.approx(2.9)
        assert longest_gap_s(writes_s, 0.0, 1.5) == 1.0
        assert longest_gap_s([], 1.0, 4.0) == 3.0

    def test_the_clock_of_a_process_counts_what_it_works(self) -> None:
        before_s = time.clock_gettime(cpu_clock(os.getpid()))
        sum(range(200_000))
        assert time.clock_gettime(cpu_clock(os.getpid())) > before_s


class TestTables:
    SLOWER: ClassVar[Comparison] = comparison(
        [sample(60.0, 20.0), sample(30.0, 20.0)], [sample(100.0), sample(50.0)]
    )

    def test_the_ratios_stand_beside_their_targets(self) -> None:
        ratios, measured = report.comparison_tables("part", self.SLOWER, ["Redraft"], ["Valkey"])
        compared = ["SET c50", "Redraft / Valkey", "0.600", "≥ 0.700", "missed", "1.00", "1.00", "2.00"]
        assert ratios.rows == [compared]
        assert measured.rows[0] == ["SET c50", "Redraft", "45.0", "67", "1.00", "2.00", "20.0", "50.0"]

    def test_a_target_that_is_reached_is_called_so(self) -> None:
        faster = comparison([sample(80.0)], [sample(100.0)])
        ratios, _ = report.comparison_tables("part", faster, ["Redraft"], ["Valkey"])
        assert ratios.rows[0][2:5] == ["0.800", "≥ 0.700", "reached"]

    def test_without_a_reference_there_are_no_ratios(self) -> None:
        (measured,) = report.comparison_tables("part", self.SLOWER, ["Redraft"], [])
        assert measured.title == "part: measured"

    def test_the_largest_value_is_held_against_the_limit(self) -> None:
        figures = [report.Figure("gap", "s", {"Redraft": [0.9, 1.0, 1.6]}, 1.5)]
        table = report.figures_table("failover", figures, ["Redraft"])
        assert table.rows == [["gap", "s", "1.00 (max 1.60)", "≤ 1.50", "missed"]]

    def test_what_was_not_measured_is_a_dash(self) -> None:
        figures = [report.Figure("disk", "MiB", {"Redraft": [22.0]})]
        table = report.figures_table("size", figures, ["Redraft", "Valkey"])
        assert table.rows == [["disk", "MiB", "22.0", report.NOTHING, report.NOTHING]]

    def test_a_report_is_shown_whole(self) -> None:
        tables = report.comparison_tables("part", self.SLOWER, ["Redraft"], ["Valkey"])
        text = shown(report.Report(tables, ["etcd is not compared: it is [not] here"]))
        words = ("part: ratios", "part: measured", "≥ 0.700", "missed", "RSS MiB", "[not] here")
        assert [word for word in words if word not in text] == []

    @pytest.mark.parametrize(
        ("value", "text"),
        [(0.0, "0"), (0.01234, "0.0123"), (1.5, "1.50"), (55555.6, "55,556"), (math.nan, "–")],
    )
    def test_numbers_have_three_digits_that_mean_something(self, value: float, text: str) -> None:
        assert report.number(value) == text

    def test_the_samples_can_be_written_as_json(self) -> None:
        (cell,) = json.loads(json.dumps(self.SLOWER.as_json()))
        assert cell["samples"]["Valkey"][1]["throughput_per_s"] == 50.0
        figures = report.figures_json([report.Figure("gap", "s", {"Redraft": (1.0,)}, 1.5)])
        expected = [{"figure": "gap", "unit": "s", "values": {"Redraft": [1.0]}, "at_most": 1.5}]
        assert json.loads(json.dumps(figures)) == expected


class TestCells:
    @pytest.mark.parametrize("cells", [standalone.CELLS, cluster.CELLS], ids=["standalone", "cluster"])
    def test_names_are_unique(self, cells: tuple[Cell, ...]) -> None:
        assert len({cell.name for cell in cells}) == len(cells)

    def test_a_name_says_what_is_measured(self) -> None:
        assert CELL.name == "SET c50"
        assert replace(CELL, command="mixed", pipeline=16).name == "mixed c50 P16"

    def test_mixed_is_both_commands_at_once(self) -> None:
        assert redis_load._commands(Cell("mixed", 50)) == ["get", "set"]
        assert redis_load._commands(Cell("set", 50)) == ["set"]


def test_a_part_that_does_not_exist_is_refused_with_those_that_do() -> None:
    result = CliRunner().invoke(main, ["--only", "standalone,speed"])
    assert result.exit_code == 2
    assert "there is no part speed" in result.output
    assert all(name in result.output for name in PARTS)
