"""Loading a server with any one command through redis-benchmark, with random numbers in its arguments."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.bench.measure import Cell, Load
from tests.bench.redis_load import combine, run_benchmark
from tests.bench.servers import HOST, need

NUMBER = "__rand_int__"
"""In an argument: twelve digits, a new number each time."""
probe_requests = 2000


@dataclass(frozen=True, slots=True)
class Operation:
    """A command as it is sent again and again."""

    words: tuple[str, ...]
    numbers: int = 100_000
    """NUMBER is below this."""


class CommandBenchmark:
    """redis-benchmark against one port; a cell's command is the name of one of `operations`."""

    def __init__(self, port: int, operations: Mapping[str, Operation]) -> None:
        """Raises Unavailable."""
        self._program = need("redis-benchmark", "redis-tools")
        self._port = port
        self._operations = operations
        self._rates: dict[str, float] = {}

    def prepare(self, cell: Cell) -> None:
        """Find out the rate. Raises ServerFailed."""
        self.run_requests(cell, probe_requests)

    def run(self, cell: Cell, seconds: float) -> Load:
        """Load the server for about so long. Raises ServerFailed."""
        return self.run_requests(cell, max(cell.connections, int(self._rates[cell.name] * seconds)))

    def run_requests(self, cell: Cell, requests: int) -> Load:
        """Send so many. Raises ServerFailed."""
        operation = self._operations[cell.command]
        arguments = [self._program, "-h", HOST, "-p", str(self._port), "--csv", "--precision", "3"]
        arguments += ["-n", str(requests), "-c", str(cell.connections), "-P", str(cell.pipeline)]
        row = run_benchmark([*arguments, "-r", str(operation.numbers), *operation.words])
        self._rates[cell.name] = row.throughput_per_s
        return combine([row], requests)
