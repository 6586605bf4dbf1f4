"""The workers of job queues: processes that their libraries start, as an operator would.

`Workplace` is what a test gets: a server's address, the file in which jobs say that they ran (ran.py), and `worker`,
which starts one and ends it with SIGTERM. What a worker printed is shown when the test fails.
"""

import importlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TypeVar
from unittest import mock

from tests.clients.jobs import ran
from tests.conformance.harness.servers import HOST, ROOT

PATIENCE_S = 120.0
"""Longer than anything takes on a busy machine."""
STOP_S = 10.0
URL = "REDIS_URL"
"""The variable in which a worker finds its server."""

Found = TypeVar("Found")


def eventually(look: Callable[[], Found], claim: str, timeout_s: float = PATIENCE_S) -> Found:
    """Call `look` until it gives something true, and return that. Raises AssertionError with `claim`."""
    deadline_s = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline_s, f"not within {timeout_s:g} s: {claim} (last: {found!r})"
        time.sleep(0.02)
    return found


class Workplace:
    """One server, and the workers that use it."""

    def __init__(self, port: int, directory: Path, database: int = 0) -> None:
        """`port`: of the node that everybody talks to; `directory`: an empty one."""
        self.port = port
        self.url = f"redis://{HOST}:{port}/{database}"
        self.directory = directory
        self.packages: list[Path] = []
        """Where Python looks first for packages."""
        self._file = directory / "ran"

    @property
    def runs(self) -> Counter[str]:
        """How often each job has run."""
        return ran.runs(self._file)

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to work here."""
        return {
            **os.environ,
            URL: self.url,
            ran.FILE: str(self._file),
            "PYTHONPATH": os.pathsep.join(map(str, (*self.packages, ROOT))),
            "PYTHONUNBUFFERED": "1",
        }

    def application(self, name: str) -> ModuleType:
        """The module of this package with this name, newly loaded for this server: an application reads its server's
        address when it is imported."""
        with mock.patch.dict(os.environ, {URL: self.url}):
            return importlib.reload(importlib.import_module(f"tests.clients.jobs.{name}"))

    @contextmanager
    def worker(self, *command: str, started: str = "") -> Iterator[subprocess.Popen[bytes]]:
        """A worker: `python -m` with these arguments, until the block ends. `started`: what it prints when it is ready
        (that nothing is waited for: empty)."""
        with self.process(sys.executable, "-m", *command, started=started) as process:
            yield process

    @contextmanager
    def process(
        self, *command: str, started: str = "", directory: Path = ROOT
    ) -> Iterator[subprocess.Popen[bytes]]:
        """As `worker`, any program."""
        path = self.directory / f"worker{len(list(self.directory.glob('*.log')))}.log"
        with path.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=directory, env=self.environment, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            if started:
                eventually(
                    lambda: started in path.read_text() or process.poll() is not None, f"{command} starts"
                )
            assert process.poll() is None, f"{command} ended"
            yield process
            assert process.poll() is None, f"{command} ended with {process.returncode}"
        except BaseException as error:
            error.add_note(f"---- {' '.join(command)} printed:\n{path.read_text()[-6000:]}")
            raise
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
