"""Loading a server with any one command through redis-benchmark, with random numbers in its arguments.

What a run leaves behind must not make the next one another measurement. An operation that takes away what is there
says how to put it back, and as many as a run is going to take are put back before it (`refill`). One that is to find
nothing there has the number of the run in its key (RUN). And no two runs draw the same numbers, as then a ZADD would
find each member with the score that it gives it: redis-benchmark begins with the time and the number of its process,
one turned by the other, which now and then is what it was before. So each run has a range of its own, one shorter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.bench.measure import Cell, Load
from tests.bench.options import RANDOM_KEYS
from tests.bench.redis_load import Row, combine, run_benchmark
from tests.bench.servers import HOST, need

NUMBER = "__rand_int__"
"""In an argument: twelve digits, a new number each time, also within one command."""
RUN = "__run__"
"""In an argument: the number of the run, and so a key that is not there when it begins."""
refill_pipeline = 50
probe_requests = 2000


@dataclass(frozen=True, slots=True)
class Operation:
    """A command as it is sent again and again."""

    words: tuple[str, ...]
    numbers: int = RANDOM_KEYS
    """NUMBER is below this, less the number of the run."""
    refill: tuple[str, ...] = ()
    """The command that puts back what one of this takes away; none: it takes nothing away."""


class CommandBenchmark:
    """redis-benchmark against one port; a cell's command is the name of one of `operations`."""

    def __init__(self, port: int, operations: Mapping[str, Operation]) -> None:
        """Raises Unavailable."""
        self._program = need("redis-benchmark", "redis-tools")
        self._port = port
        self._operations = operations
        self._rates: dict[str, float] = {}
        self._runs = 0

    def prepare(self, cell: Cell) -> None:
        """Find out the rate. Raises ServerFailed."""
        self._put_back(cell, probe_requests)
        self.run_requests(cell, probe_requests)

    def refill(self, cell: Cell, seconds: float) -> bool:
        """Put back what a run of so long takes away; False when that is nothing. Raises ServerFailed."""
        return self._put_back(cell, self._requests(cell, seconds))

    def run(self, cell: Cell, seconds: float) -> Load:
        """Load the server for about so long. Raises ServerFailed."""
        return self.run_requests(cell, self._requests(cell, seconds))

    def run_requests(self, cell: Cell, requests: int) -> Load:
        """Send so many. Raises ServerFailed."""
        self._runs += 1
        operation = self._operations[cell.command]
        row = self._send(operation.words, operation.numbers, requests, cell.connections, cell.pipeline)
        self._rates[cell.name] = row.throughput_per_s
        return combine([row], requests)

    def _requests(self, cell: Cell, seconds: float) -> int:
        return max(cell.connections, int(self._rates[cell.name] * seconds))

    def _put_back(self, cell: Cell, requests: int) -> bool:
        operation = self._operations[cell.command]
        if not operation.refill:
            return False
        self._send(operation.refill, operation.numbers, requests, cell.connections, refill_pipeline)
        return True

    def _send(
        self, words: Sequence[str], numbers: int, requests: int, connections: int, pipeline: int
    ) -> Row:
        arguments = [self._program, "-h", HOST, "-p", str(self._port), "--csv", "--precision", "3"]
        arguments += ["-n", str(requests), "-c", str(connections), "-P", str(pipeline)]
        arguments += ["-r", str(numbers - self._runs)]
        return run_benchmark([*arguments, *(word.replace(RUN, str(self._runs)) for word in words)])
