"""Part failover: how long a cluster takes no writes when a node goes, and what clients notice.

The victim leads some group; clients that are connected to the other two nodes write to that group without pause.
Two ways to go: kill -9, and SIGTERM, which hands the leaderships over first. Measured is the longest time between
two successful writes of a client, until the victim is back and leads again, or long enough after; and the errors
that clients were told. A client that is told an error goes on at once.

Disks pause by themselves, some for half a second, and then everybody's writes do. So each round begins with some
seconds in which nothing happens, measured alike: what is not longer than that need not be the cluster's. With --dir on
a file system in memory there are none of the disk's.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import hiredis

from tests.bench.options import Options
from tests.bench.redis_load import CLUSTER_SLOTS
from tests.bench.report import Figure, Report, figures_json, figures_table
from tests.bench.servers import (
    GROUPS,
    Deployment,
    Server,
    ServerFailed,
    leaders,
    redraft_cluster,
    wait_spread,
)
from tests.processes.client import Client, ConnectionLost

KILL_TARGET_S = 1.5
CLEAN_TARGET_S = 0.2
back_wait_s = 15.0
"""How long the victim may take to lead again after it is back; it need not."""
calm_s = 1.0
nothing_s = 4.0
"""As long as a node mostly takes to come back and lead again."""
patience_s = 30.0
SUBJECT = "Redraft"


def longest_gap_s(times_s: Sequence[float], since_s: float, until_s: float) -> float:
    """The longest time without a success that has a part between `since_s` and `until_s`; `times_s`: of the successes,
    ascending. What was before the first or after the last success counts from or to the bounds."""
    before = [each for each in times_s if each <= since_s]
    within = [each for each in times_s if since_s < each < until_s]
    after = [each for each in times_s if each >= until_s]
    marks = [before[-1] if before else since_s, *within, after[0] if after else until_s]
    return max(later - earlier for earlier, later in pairwise(marks))


class Writer(threading.Thread):
    """A client that writes keys in turn, one write at a time."""

    def __init__(self, server: Server, keys: Sequence[str]) -> None:
        super().__init__(name=f"writer at {server.name}", daemon=True)
        self.server = server
        self.successes_s: list[float] = []
        self.errors: list[str] = []
        self._keys = list(keys)
        self._ended = threading.Event()

    def run(self) -> None:
        """Until it is told to stop."""
        while not self._ended.is_set():
            try:
                with Client(self.server.port, patience_s) as client:
                    self._write(client)
            except ConnectionLost as error:
                self.errors.append(str(error))
                time.sleep(0.01)  # the server may be gone

    def _write(self, client: Client) -> None:
        while not self._ended.is_set():
            for key in self._keys:
                reply = client.call("SET", key, "x" * 64)
                if isinstance(reply, hiredis.ReplyError):
                    self.errors.append(str(reply))
                else:
                    self.successes_s.append(time.monotonic())

    def writes_after(self, since_s: float) -> bool:
        """Wait for a success later than `since_s`, for some time; whether there was one."""
        return _wait(lambda: bool(self.successes_s) and self.successes_s[-1] > since_s, patience_s)

    def stop(self) -> None:
        """Stop and wait for the end."""
        self._ended.set()
        self.join(patience_s)


@contextmanager
def writing(writers: Sequence[Writer]) -> Iterator[None]:
    """Let them write; on return they have stopped."""
    for writer in writers:
        writer.start()
    try:
        yield
    finally:
        for writer in writers:
            writer.stop()


def _wait(look: Callable[[], bool], seconds: float) -> bool:
    deadline_s = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.05)
    return True


def keys_of_groups(server: Server) -> dict[int, str]:
    """A key in each group, slots being divided evenly. Raises ServerFailed, ConnectionLost."""
    found: dict[int, str] = {}
    with Client(server.port) as client:
        for number in range(1000):
            key = f"failover:{number}"
            slot = client.call("CLUSTER", "KEYSLOT", key)
            found.setdefault(slot * GROUPS // CLUSTER_SLOTS + 1, key)
            if len(found) == GROUPS:
                return found
    raise ServerFailed(f"{server.name} puts all keys into some of the groups")


def run(options: Options) -> Report:
    """Measure. Raises ServerFailed."""
    report = Report()
    limits = {
        "nothing": None,
        "kill -9": KILL_TARGET_S,
        "SIGTERM": CLEAN_TARGET_S,
        "coming back": CLEAN_TARGET_S,
    }
    gaps: dict[str, list[float]] = {name: [] for name in limits}
    errors: dict[str, list[float]] = {name: [] for name in limits}
    texts: set[str] = set()
    with redraft_cluster(options.directory) as cluster:
        options.progress.begin("failover", 2 * options.rounds)
        keys = keys_of_groups(cluster.servers[0])
        for way in (signal.SIGKILL, signal.SIGTERM):
            for number in range(options.rounds):
                name = "kill -9" if way is signal.SIGKILL else "SIGTERM"
                before, gone, back = _round(cluster, keys, number, way, texts)
                for what, (gap_s, count) in (("nothing", before), (name, gone), ("coming back", back)):
                    gaps[what].append(gap_s)
                    errors[what].append(count)
                options.progress.step(
                    f"{name}, round {number + 1}: {gone[0]:.3f} s without a write, {gone[1]} errors;"
                    f" {back[0]:.3f} s and {back[1]} when it came back; {before[0]:.3f} s before that"
                )
    figures = []
    for name, found in gaps.items():
        figures.append(Figure(f"{name}: without a write", "s", {SUBJECT: found}, limits[name]))
        at_most = None if name == "kill -9" else 0.0
        figures.append(Figure(f"{name}: errors", "a round", {SUBJECT: errors[name]}, at_most))
    report.tables = [figures_table("failover of a cluster of 3: median (max)", figures, [SUBJECT])]
    report.notes.append(
        "the longest time between two successful writes of one client to a group that the node led, through each other"
        " node; errors are those of all clients of the other nodes, one of which writes to all groups"
    )
    report.notes += [f"error seen: {text}" for text in sorted(texts)]
    report.data = figures_json(figures)
    return report


def _round(
    cluster: Deployment, keys: dict[int, str], number: int, way: signal.Signals, texts: set[str]
) -> tuple[tuple[float, int], tuple[float, int], tuple[float, int]]:
    """Let the leader of a group be, go and come back. Returns longest gap and number of errors of each."""
    led = wait_spread(cluster)
    group = number % GROUPS + 1  # each in turn
    if group not in led:
        raise ServerFailed(f"group {group} has no leader")
    victim = next(server for server in cluster.servers if server.name == led[group])
    others = [server for server in cluster.servers if server is not victim]
    writers = [Writer(server, [keys[group]]) for server in others]
    everywhere = Writer(others[0], list(keys.values()))
    with writing([*writers, everywhere]):
        time.sleep(calm_s)
        calm_since_s = time.monotonic()
        time.sleep(nothing_s)
        calm_errors = sum(len(writer.errors) for writer in [*writers, everywhere])
        gone_s = time.monotonic()
        victim.end(way)
        ended_s = time.monotonic()
        for writer in writers:
            if not writer.writes_after(ended_s):
                raise ServerFailed(f"no writes through {writer.server.name} after the leader was gone")
        time.sleep(calm_s)
        errors = sum(len(writer.errors) for writer in [*writers, everywhere]) - calm_errors
        back_s = time.monotonic()
        victim.start()
        cluster.wait_ready(victim)
        _wait(lambda: leaders(others).get(group) == victim.name, back_wait_s)
        time.sleep(calm_s)
        end_s = time.monotonic()
    all_errors = [text for writer in [*writers, everywhere] for text in writer.errors]
    texts.update(all_errors)
    earlier = [[each for each in writer.successes_s if each < gone_s] for writer in writers]
    calm = max(longest_gap_s(times_s, calm_since_s, gone_s) for times_s in earlier)
    gone = max(longest_gap_s(writer.successes_s, gone_s, back_s) for writer in writers)
    back = max(longest_gap_s(writer.successes_s, back_s, end_s) for writer in writers)
    return (calm, calm_errors), (gone, errors), (back, len(all_errors) - errors - calm_errors)
