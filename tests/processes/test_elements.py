"""Lists, streams, transactions and sets hold what was acknowledged, once, whatever happens to nodes and network.

The same faults as in test_chaos, other clients: see elements.py and collections of workload.py. `python -m
tests.processes --elements` does it for longer.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import chaos
from tests.processes.chaos import Fault, suffer_with_elements
from tests.processes.elements import ACKED, REFUSED, UNKNOWN, judge_elements, judge_order, judge_transfers
from tests.processes.harness import Cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("elements")) as cluster:
        yield cluster


@pytest.mark.parametrize(
    "fault",
    [chaos.kill_leader, chaos.pause_leader, chaos.isolate_leader, chaos.cut_connections],
    ids=lambda fault: fault.__name__,
)
def test_elements_are_there_once_through(fault: Fault, cluster: Cluster, tmp_path: Path) -> None:
    with cluster.logs_on_failure():
        cluster.wait_ready()
        suffer_with_elements(cluster, [fault], 1, fault.__name__, tmp_path)


def test_what_is_seen_twice_or_missing_or_was_refused_is_found() -> None:
    pushed = {"a.1": ACKED, "a.2": UNKNOWN, "a.3": REFUSED, "a.4": ACKED}
    assert judge_elements(pushed, ["a.1"], ["a.4"], 0) == []
    assert judge_elements(pushed, ["a.1", "a.2"], ["a.4"], 0) == []
    assert judge_elements(pushed, ["a.1"], [], 1) == []
    assert judge_elements(pushed, ["a.1"], [], 0)
    assert judge_elements(pushed, ["a.1", "a.4"], ["a.4"], 0)
    assert judge_elements(pushed, ["a.2", "a.2"], ["a.1", "a.4"], 0)
    assert judge_elements(pushed, ["a.3"], ["a.1", "a.4"], 0)
    assert judge_elements(pushed, ["b.1"], ["a.1", "a.4"], 0)


def test_a_later_element_that_was_popped_first_is_found() -> None:
    assert judge_order([("a.1", 0, 5), ("a.2", 6, 9), ("b.1", 1, 2), ("a.10", 8, 10)]) == []
    assert judge_order([("a.1", 6, 9), ("a.2", 0, 5)])
    assert judge_order([("a.1", 2, 9), ("a.2", 0, 5)]) == [], "they were under way together"


def test_a_transfer_that_is_half_done_is_found() -> None:
    told = {"x.1": (ACKED, 10), "x.2": (UNKNOWN, 5)}
    start = 1_000_000
    assert judge_transfers(told, ["x.1"], start - 10, 10) == []
    assert judge_transfers(told, ["x.1", "x.2"], start - 15, 15) == []
    assert judge_transfers(told, ["x.1"], start - 15, 15)
    assert judge_transfers(told, ["x.1"], start - 10, 15)
    assert judge_transfers(told, [], start, 0)
    assert judge_transfers(told, ["x.1", "x.1"], start - 20, 20)
