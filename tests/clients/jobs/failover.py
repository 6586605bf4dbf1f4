"""What clients do while a node dies: the leader of their keys is killed.

Of a queue: jobs are made and done all the time, by processes that talk to the nodes that live on, so that what is seen
is the cluster's doing alone. No enqueuing may fail, and every job must run once: not lost, not twice, nor may a worker
end. Jobs are quick and say in a file that they ran (ran.py). Of anything else: `share`.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.clients.jobs.workers import Workplace, eventually
from tests.processes.harness import Cluster

JOBS = 80
PAUSE_S = 0.01
KILL_AFTER = JOBS // 4


class Failover:
    """A cluster whose leader will be killed."""

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self.victim = cluster.leader(1)
        first, second = cluster.others(self.victim)
        self.office = Workplace(first.port, directory)
        """Where jobs are made, at a node that stays."""
        self.factory = Workplace(second.port, directory)
        """Where they are done, at the other one."""

    @contextmanager
    def killing(self) -> Iterator[None]:
        """The leader is killed as soon as some of the jobs have run, which are made in this block."""

        def kill() -> None:
            eventually(lambda: len(self.factory.runs) >= KILL_AFTER, "jobs run")
            self.victim.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            yield
        finally:
            killer.join()

    def make(self, enqueue: Callable[[int], object]) -> None:
        """Enqueue all jobs, one after the other; meanwhile the leader is killed."""
        with self.killing():
            for number in range(JOBS):
                enqueue(number)
                time.sleep(PAUSE_S)

    def share(self, works: Sequence[Callable[[], object]]) -> int:
        """Do each of `works` again and again in a thread of its own: before the leader is killed, while that happens,
        and afterwards. Returns how often something was done. Raises whatever they raise.
        """
        done: list[None] = []
        killed = threading.Event()

        def repeat(work: Callable[[], object]) -> None:
            left = KILL_AFTER
            while left:
                work()
                done.append(None)
                left -= killed.is_set()

        with ThreadPoolExecutor(len(works)) as pool:
            threads = [pool.submit(repeat, work) for work in works]
            try:
                eventually(
                    lambda: len(done) >= KILL_AFTER or any(thread.done() for thread in threads), "it works"
                )
                self.victim.kill()
            finally:
                killed.set()
            for thread in threads:
                thread.result()
        return len(done)

    def check(self) -> None:
        """Wait for all jobs. Raises AssertionError when one was lost or ran twice."""
        assert not self.victim.running
        once = Counter(map(str, range(JOBS)))
        try:
            eventually(lambda: once.keys() <= self.factory.runs.keys(), "all jobs run")
            time.sleep(0.1)  # for those that should not
        except AssertionError as error:
            error.add_note(f"never: {sorted(once.keys() - self.factory.runs.keys())}")
            raise
        assert self.factory.runs == once


@contextmanager
def failover(cluster: Cluster, directory: Path) -> Iterator[Failover]:
    """The leader of a cluster may be killed in this block; afterwards it lives again."""
    with cluster.logs_on_failure():
        cluster.wait_ready()
        cluster.servers[0].call("flushall")
        found = Failover(cluster, directory)
        try:
            yield found
        finally:
            if not found.victim.running:
                found.victim.start()
