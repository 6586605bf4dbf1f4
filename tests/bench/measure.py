"""Measuring fairly on a noisy machine.

All services of a comparison run at the same time, idle but for one. Each cell (what is done, over how many
connections) is measured in rounds, each service once a round: ABC ABC ABC. What disturbs the machine for longer
than a cell then hits all alike, so a ratio is the median of the ratios within each round, and not the ratio of
medians. Processor time a operation is measured too: it does not grow when the machine is shared.

All rounds of a cell are to measure the same: what an operation takes away is put back before each, outside of what is
measured, and the service has come to rest when it begins.
"""

import math
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from tests.bench.progress import Progress
from tests.bench.servers import Deployment

idle_share = 0.05
"""Of one processor: with less, a server has done what loading has left behind, such as compaction."""
look_s = 0.5
"""Longer than a server puts off what it has to do, or waits for the disk in the middle of it."""
settle_s_max = 60.0


@dataclass(frozen=True, slots=True)
class Cell:
    """What is done to each service."""

    command: str
    """get, set, or mixed: half of the connections do each; or what a driver knows by that name."""
    connections: int
    pipeline: int = 1
    targets: Mapping[str, float] = field(default_factory=dict)
    """Least throughput of Redraft as a multiple of that of a service, by the service's name."""

    @property
    def name(self) -> str:
        """For people, and unique."""
        what = self.command.upper() if self.command in ("get", "set") else self.command
        return f"{what} c{self.connections}" + (f" P{self.pipeline}" if self.pipeline > 1 else "")


@dataclass(frozen=True, slots=True)
class Load:
    """What a driver saw while it loaded a service."""

    operations: int
    throughput_per_s: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One cell, one service, one round."""

    operations: int
    throughput_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us_per_op: float
    """Of the service's processes together."""


class Driver(Protocol):
    """A program that loads a service."""

    def prepare(self, cell: Cell) -> None:
        """Find out how fast the service is, and warm it up."""
        ...

    def refill(self, cell: Cell, seconds: float) -> bool:
        """Put back what a run of so long takes away; False when that is nothing."""
        ...

    def run(self, cell: Cell, seconds: float) -> Load:
        """Load it for about so long."""
        ...


@dataclass(frozen=True, slots=True)
class Subject:
    """A service, and how it is loaded."""

    name: str
    deployment: Deployment
    driver: Driver


@dataclass(slots=True)
class Comparison:
    """The result: for each cell, in order, the samples of each service and its memory after the last."""

    cells: list[Cell]
    subjects: list[str]
    samples: dict[str, dict[str, list[Sample]]]
    """By the cell's name, then by the service's."""
    rss_bytes: dict[str, dict[str, list[int]]]
    """The same; one figure a process."""

    def ratio(self, cell: Cell, subject: str, reference: str, measure: str) -> float:
        """Median over the rounds of `subject` / `reference`; `measure`: a field of Sample."""
        ours, theirs = self.samples[cell.name][subject], self.samples[cell.name][reference]
        return median_ratio(
            [getattr(one, measure) for one in ours], [getattr(one, measure) for one in theirs]
        )

    def median(self, cell: Cell, subject: str, measure: str) -> float:
        """Median over the rounds of a field of Sample."""
        return float(statistics.median(getattr(one, measure) for one in self.samples[cell.name][subject]))

    def spread(self, cell: Cell, subject: str) -> float:
        """(most - least) / median of the throughput: what the machine's noise was."""
        found = [one.throughput_per_s for one in self.samples[cell.name][subject]]
        return (max(found) - min(found)) / statistics.median(found)

    def as_json(self) -> list[dict[str, Any]]:
        """Everything, for a machine."""
        return [
            {
                "cell": cell.name,
                "targets": dict(cell.targets),
                "samples": {
                    name: [asdict(one) for one in each] for name, each in self.samples[cell.name].items()
                },
                "rss_bytes": self.rss_bytes[cell.name],
            }
            for cell in self.cells
        ]


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Median of the ratios of what was measured one after the other; NaN when nothing can be divided."""
    ratios = [one / other for one, other in zip(ours, theirs, strict=True) if other]
    return statistics.median(ratios) if ratios else math.nan


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest value that `percent` of all are not above; 0 of none."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def compare(
    subjects: Sequence[Subject], cells: Sequence[Cell], rounds: int, seconds: float, progress: Progress
) -> Comparison:
    """Measure every cell on every subject, alternately, about `seconds` at a time."""
    result = Comparison(list(cells), [subject.name for subject in subjects], {}, {})
    for cell in cells:
        samples: dict[str, list[Sample]] = {subject.name: [] for subject in subjects}
        for subject in subjects:
            subject.driver.prepare(cell)
        for number in range(rounds):
            for subject in subjects:
                if subject.driver.refill(cell, seconds):
                    settle(subject.deployment)
                sample = _sample(subject, cell, seconds)
                samples[subject.name].append(sample)
                progress.step(
                    f"{cell.name}, {subject.name}, round {number + 1}: {sample.throughput_per_s:,.0f}/s,"
                    f" {sample.cpu_us_per_op:.1f} µs of processor an operation"
                )
        result.samples[cell.name] = samples
        result.rss_bytes[cell.name] = {subject.name: subject.deployment.rss_bytes for subject in subjects}
    return result


def settle(deployment: Deployment) -> None:
    """Wait until the servers have nothing to do, or for settle_s_max."""
    deadline_s = time.monotonic() + settle_s_max
    while time.monotonic() < deadline_s:
        before_s = deployment.cpu_s
        time.sleep(look_s)
        if deployment.cpu_s - before_s < idle_share * look_s:
            return


def _sample(subject: Subject, cell: Cell, seconds: float) -> Sample:
    before_s = subject.deployment.cpu_s
    load = subject.driver.run(cell, seconds)
    used_s = subject.deployment.cpu_s - before_s
    return Sample(
        load.operations, load.throughput_per_s, load.p50_ms, load.p99_ms, used_s * 1e6 / load.operations
    )
