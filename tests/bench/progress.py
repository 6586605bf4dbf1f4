"""How far it is: a bar on a terminal, a line a step elsewhere. Both go to standard error; the tables go to standard
output."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Column

part_width = 10


class Progress:
    """A context manager. Steps are announced part by part, since a part knows its own only when it has begun."""

    def __init__(self) -> None:
        self._start_s = time.monotonic()
        self._bar: Bar | None = None
        if sys.stderr.isatty():
            self._bar = Bar(
                TextColumn("{task.fields[part]}", table_column=Column(no_wrap=True, min_width=part_width)),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.description}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("", total=None, part="")

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def begin(self, part: str, steps: int) -> None:
        """A part begins that has so many steps."""
        if self._bar:
            self._bar.reset(self._task, total=steps, part=part, description="starting")
        else:
            self._line(f"{part}: {steps} steps")

    def note(self, text: str) -> None:
        """Say what is being done; no step is done yet."""
        if self._bar:
            self._bar.update(self._task, description=text)
        else:
            self._line(text)

    def step(self, text: str) -> None:
        """A step is done."""
        if self._bar:
            self._bar.update(self._task, advance=1, description=text)
        else:
            self._line(text)

    def _line(self, text: str) -> None:
        print(f"{time.monotonic() - self._start_s:7.1f} s  {text}", file=sys.stderr, flush=True)
