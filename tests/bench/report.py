"""What a part gives back, and how it is shown.

A part gives a `Report`: tables for people, notes that say how to read them, and the same in plain values for
--json. Ratios come first: on a machine that others use, only they mean something. `comparison_tables` is for
throughput; `figures_table` for everything that is one figure per service.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from tests.bench.measure import Cell, Comparison, median_ratio

NOTHING = "–"


@dataclass(slots=True)
class Table:
    """Cells as text; the first `labels` columns are names, the others numbers. A first name that is repeated is shown
    once."""

    title: str
    headings: list[str]
    rows: list[list[str]]
    labels: int = 2
    grouped: bool = False
    """Rows with the same first name stand together, with room between the groups."""


@dataclass(slots=True)
class Report:
    """The result of a part."""

    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    data: Any = None
    """For --json."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Something measured once or several times for each service."""

    name: str
    unit: str
    values: Mapping[str, Sequence[float]]
    """By service; of one service they come in the order of measuring."""
    at_most: float | None = None
    """What the largest value of the first service should not be above."""


def number(value: float) -> str:
    """Three significant digits, thousands apart."""
    if math.isnan(value):
        return NOTHING
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def mebibytes(sizes_bytes: Sequence[int]) -> str:
    """The memory of each process."""
    return " + ".join(number(size / (1 << 20)) for size in sizes_bytes)


def verdict(ratio: float, target: float | None) -> str:
    """Whether a ratio is as large as it should be."""
    if target is None or math.isnan(ratio):
        return ""
    return "reached" if ratio >= target else "missed"


def comparison_tables(
    title: str, comparison: Comparison, ours: Sequence[str], references: Sequence[str]
) -> list[Table]:
    """Ratios of each of `ours` to each of `references`, and what was measured."""
    heads = ["cell", "compared", "throughput ×", "target ×", "", "p50 ×", "p99 ×", "processor/op ×"]
    ratios = Table(f"{title}: ratios", heads, [], grouped=True)
    for cell in comparison.cells:
        for us in ours:
            for them in references:
                ratios.rows.append([cell.name, f"{us} / {them}", *_ratios(comparison, cell, us, them)])
    heads = ["cell", "server", "op/s", "spread %", "p50 ms", "p99 ms", "processor µs/op", "RSS MiB"]
    measured = Table(f"{title}: measured", heads, [], grouped=True)
    for cell in comparison.cells:
        for subject in comparison.subjects:
            medians = [comparison.median(cell, subject, one) for one in ("p50_ms", "p99_ms", "cpu_us_per_op")]
            measured.rows.append(
                [
                    cell.name,
                    subject,
                    number(comparison.median(cell, subject, "throughput_per_s")),
                    f"{100 * comparison.spread(cell, subject):.0f}",
                    *map(number, medians),
                    mebibytes(comparison.rss_bytes[cell.name][subject]),
                ]
            )
    return [ratios, measured] if references else [measured]


def _ratios(comparison: Comparison, cell: Cell, us: str, them: str) -> list[str]:
    ratio = comparison.ratio(cell, us, them, "throughput_per_s")
    target = cell.targets.get(them)
    others = [comparison.ratio(cell, us, them, one) for one in ("p50_ms", "p99_ms", "cpu_us_per_op")]
    shown = NOTHING if target is None else f"≥ {number(target)}"
    return [number(ratio), shown, verdict(ratio, target), *map(number, others)]


def figures_table(title: str, figures: Sequence[Figure], subjects: Sequence[str]) -> Table:
    """A row a figure: for each service the median, and the largest where there are several; the ratio of the first
    service to each other; the target."""
    references = subjects[1:]
    targets = any(figure.at_most is not None for figure in figures)
    heads = ["figure", "unit", *subjects, *(f"× {name}" for name in references)]
    table = Table(title, heads + (["target", ""] if targets else []), [])
    for figure in figures:
        row = [figure.name, figure.unit, *(_median_and_max(figure.values.get(name, ())) for name in subjects)]
        first = figure.values.get(subjects[0], ())
        for name in references:
            theirs = figure.values.get(name, ())
            same = len(first) == len(theirs)
            row.append(number(median_ratio(first, theirs)) if same else NOTHING)
        if targets:
            row += _at_most(figure, first)
        table.rows.append(row)
    return table


def _median_and_max(values: Sequence[float]) -> str:
    if not values:
        return NOTHING
    text = number(statistics.median(values))
    return f"{text} (max {number(max(values))})" if len(values) > 1 else text


def _at_most(figure: Figure, values: Sequence[float]) -> list[str]:
    if figure.at_most is None or not values:
        return ["", ""]
    return [f"≤ {number(figure.at_most)}", "reached" if max(values) <= figure.at_most else "missed"]


def figures_json(figures: Sequence[Figure]) -> list[dict[str, Any]]:
    """Everything, for a machine."""
    return [
        {
            "figure": figure.name,
            "unit": figure.unit,
            "values": {name: list(values) for name, values in figure.values.items()},
            "at_most": figure.at_most,
        }
        for figure in figures
    ]


def renderable(report: Report) -> RenderableType:
    """The report for a terminal."""
    parts: list[RenderableType] = []
    for table in report.tables:
        shown = RichTable(
            title=table.title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False
        )
        for position, heading in enumerate(table.headings):
            justify = "left" if position < table.labels or not heading else "right"
            shown.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
        last = ""
        for row in table.rows:
            if table.grouped and last and row[0] != last:
                shown.add_section()
            style = {"reached": "green", "missed": "red"}
            first = "" if row[0] == last else row[0]
            last = row[0]
            shown.add_row(*(Text(text, style=style.get(text, "")) for text in (first, *row[1:])))
        parts += [shown, Text()]
    parts += [Text(f"· {note}") for note in report.notes]
    return Group(*parts)


def show(console: Console, report: Report) -> None:
    """Print a report."""
    console.print(renderable(report))
    console.print()
