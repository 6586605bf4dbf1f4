"""Loading etcd: h2load over gRPC, with requests made by hand.

A gRPC call is a POST whose body is one frame: a byte that says it is not compressed, the length in four bytes, and
the message in protocol buffers. h2load sends the same body again and again, so every call is for the same key: kind
to etcd, whose index and pages stay hot. Connections have one call at a time, as those of redis-benchmark without a
pipeline.

An error of gRPC comes with HTTP status 200. That calls did what they should is checked by what they left: a PUT
raises the revision of the store by one, and a Range brings the value, so its bytes are counted.
"""

import base64
import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.measure import Cell, Load, percentile
from tests.bench.redis_load import VALUE_BYTES, key_name
from tests.bench.servers import HOST, ServerFailed, etcd_call, need

KEY = key_name(42)
VALUE = b"x" * VALUE_BYTES
METHODS = {"get": "etcdserverpb.KV/Range", "set": "etcdserverpb.KV/Put"}
frame_head_bytes = 5
probe_requests = 2000


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _bytes_field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def put_request(key: bytes, value: bytes) -> bytes:
    """An etcdserverpb.PutRequest."""
    return _bytes_field(1, key) + _bytes_field(2, value)


def range_request(key: bytes) -> bytes:
    """An etcdserverpb.RangeRequest of one key; linearizable, since serializable is left out."""
    return _bytes_field(1, key)


def frame(message: bytes) -> bytes:
    """The message as gRPC sends it, not compressed."""
    return b"\0" + len(message).to_bytes(4, "big") + message


@dataclass(frozen=True, slots=True)
class Output:
    """What h2load printed."""

    succeeded: int
    failed: int
    throughput_per_s: float
    data_bytes: int
    """Bodies of all replies."""


def parse_output(text: str) -> Output:
    """Read what h2load prints at its end. Raises ValueError when it does not have it."""
    finished = re.search(r"^finished in [\d.]+\w+, ([\d.]+) req/s", text, re.MULTILINE)
    requests = re.search(
        r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", text
    )  # errored ones are among the failed
    traffic = re.search(r"^traffic:.* \((\d+)\) data$", text, re.MULTILINE)
    if finished is None or requests is None or traffic is None:
        raise ValueError("h2load printed no result")
    return Output(int(requests[1]), int(requests[2]), float(finished[1]), int(traffic[1]))


def parse_log(lines: Iterable[str]) -> list[float]:
    """Latencies in milliseconds from h2load's --log-file: start, status, microseconds."""
    return [int(line.split("\t")[2]) / 1000 for line in lines]


class H2Load:
    """h2load against one member of etcd."""

    def __init__(self, port: int) -> None:
        """Raises Unavailable."""
        self._program = need("h2load", "nghttp2-client")
        self._port = port
        self._rates: dict[str, float] = {}

    def check(self) -> None:
        """Write the key as h2load does and read it back another way. Raises ServerFailed."""
        self._run(Cell("set", 1), 1)
        answer = etcd_call(self._port, "kv/range", {"key": base64.b64encode(KEY).decode()})
        found = [base64.b64decode(pair["value"]) for pair in answer.get("kvs", [])]
        if found != [VALUE]:
            raise ServerFailed(f"etcd did not store what h2load put: {answer}")

    def prepare(self, cell: Cell) -> None:
        """Find out the rate. Raises ServerFailed."""
        self._rates[cell.name] = self._run(cell, max(probe_requests, 4 * cell.connections)).throughput_per_s

    def refill(self, cell: Cell, seconds: float) -> bool:
        """Nothing is taken away."""
        return False

    def run(self, cell: Cell, seconds: float) -> Load:
        """Load it for about so long. Raises ServerFailed."""
        load = self._run(cell, max(cell.connections, int(self._rates[cell.name] * seconds)))
        self._rates[cell.name] = load.throughput_per_s
        return load

    def _revision(self) -> int:
        answer = etcd_call(self._port, "kv/range", {"key": base64.b64encode(KEY).decode()})
        return int(answer["header"]["revision"])

    def _run(self, cell: Cell, requests: int) -> Load:
        message = range_request(KEY) if cell.command == "get" else put_request(KEY, VALUE)
        before = self._revision()
        with tempfile.TemporaryDirectory(prefix="h2load-") as folder:
            body, log = Path(folder, "body"), Path(folder, "log")
            body.write_bytes(frame(message))
            done = subprocess.run(
                [
                    *(self._program, "-n", str(requests), "-c", str(cell.connections), "-m", "1", "-t", "1"),
                    *("-d", str(body), "--log-file", str(log)),
                    *("-H", "content-type: application/grpc", "-H", "te: trailers"),
                    f"http://{HOST}:{self._port}/{METHODS[cell.command]}",
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            try:
                output = parse_output(done.stdout)
                latencies_ms = parse_log(log.read_text().splitlines())
            except (ValueError, OSError) as error:
                raise ServerFailed(f"{error}:\n{done.stdout[-500:]}{done.stderr[-500:]}") from None
        _check(cell, requests, output, self._revision() - before)
        return Load(
            requests, output.throughput_per_s, percentile(latencies_ms, 50), percentile(latencies_ms, 99)
        )


def _check(cell: Cell, requests: int, output: Output, revisions: int) -> None:
    """Raises ServerFailed when some call did not do what it should."""
    if output.succeeded != requests or output.failed:
        raise ServerFailed(f"{requests - output.succeeded} of {requests} calls of etcd failed")
    if cell.command == "set" and revisions != requests:
        raise ServerFailed(f"{requests} PUTs of etcd raised its revision by {revisions}")
    if cell.command == "get" and output.data_bytes < requests * (frame_head_bytes + len(KEY) + len(VALUE)):
        raise ServerFailed(f"{requests} Ranges of etcd brought only {output.data_bytes} bytes")
