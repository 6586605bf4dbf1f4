"""Jobs in streams, by redis-py's cluster client: `produce NAME COUNT PORT…` makes them, `work NAME PORT…` does them.

The client knows every node, also the one that is killed: its calls fail then, or nobody knows what became of them, and
it or this program sends them again. What is sent twice must not count twice. So a job is an entry with an ID of its
own, which a stream takes once, and a job's effect comes with its acknowledgement, in one script. There are several
streams, since every node leads some of them. streams.cjs does the same with clients from npm.
"""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import redis
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import ClusterError, RedisClusterException

from tests.clients.jobs.ran import ran
from tests.conformance.harness.servers import HOST

STREAMS = 6
UNKNOWN = (redis.ConnectionError, redis.TimeoutError, ClusterError, RedisClusterException)
"""Errors after which something has to be sent again, as after a reply that begins with UNKNOWN."""
EXISTS = ("BUSYGROUP", "The ID specified in XADD is equal or smaller")
"""What tells that a call was done before."""
DONE = """
if redis.call('XACK', KEYS[1], 'workers', ARGV[1]) == 0 then return 0 end
return redis.call('HINCRBY', KEYS[2], ARGV[2], 1)
"""


class Jobs:
    """The streams of one test, and what their jobs have brought about."""

    def __init__(self, client: RedisCluster, name: str) -> None:
        """`name`: of these streams; others know nothing of them."""
        self.client = client
        self.name = name

    def stream(self, number: int) -> str:
        """The key of the stream that a job is in."""
        return f"{{{number % STREAMS}}}{self.name}:jobs"

    def effects(self, number: int) -> str:
        """The key of what the jobs of a stream have brought about: a hash that counts for each job."""
        return f"{{{number % STREAMS}}}{self.name}:done"

    def counts(self) -> dict[str, int]:
        """How often each job has counted."""
        found = [self.until_known(self.client.hgetall, self.effects(number)) for number in range(STREAMS)]
        return {job: int(count) for each in found for job, count in each.items()}

    def produce(self, count: int) -> None:
        """A job every 10 ms."""
        for number in range(count):
            job = {"number": number}
            self.until_known(self.client.xadd, self.stream(number), job, id=f"{number + 1}-0")
            time.sleep(0.01)

    def work(self) -> None:
        """Do all jobs."""
        for number in range(STREAMS):
            self.until_known(self.client.xgroup_create, self.stream(number), "workers", "0", mkstream=True)
        print("ready", flush=True)
        while True:
            for number in range(STREAMS):
                self.do(number, "0")  # taken before, when the reply did not arrive
                self.do(number, ">")
            time.sleep(0.01)

    def do(self, number: int, start: str) -> None:
        """Take some jobs of a stream and do them."""
        key, done = self.stream(number), self.effects(number)
        for _, entries in self.until_known(self.client.xreadgroup, "workers", "me", {key: start}, count=10):
            for identity, job in entries:
                ran(job["number"])
                self.until_known(self.client.eval, DONE, 2, key, done, identity, job["number"])

    def until_known(self, call: Callable[..., Any], *args: object, **options: object) -> Any:
        """Send something until it is known to have been done. Returns the reply; None when an earlier try was it."""
        while True:
            try:
                return call(*args, **options)
            except UNKNOWN as error:
                print(f"sent again after {error!r}", flush=True)
                self.client.replace_default_node()  # it is asked for XREADGROUP's keys, though it be dead
            except redis.ResponseError as error:
                if str(error).startswith(EXISTS):
                    return None
                if not str(error).startswith("UNKNOWN"):
                    raise
            time.sleep(0.05)


def connect(*ports: str | int) -> RedisCluster:
    """A client that knows these nodes, as soon as every shard group has a leader."""
    nodes = [ClusterNode(HOST, int(port)) for port in ports]
    while True:
        with suppress(RedisClusterException):
            return RedisCluster(startup_nodes=nodes, protocol=2, decode_responses=True)
        time.sleep(0.05)


if __name__ == "__main__":
    role, name, *rest = sys.argv[1:]
    if role == "produce":
        count, *ports = rest
        Jobs(connect(*ports), name).produce(int(count))
    else:
        Jobs(connect(*rest), name).work()
