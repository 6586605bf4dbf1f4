"""`redraft rebuild`: the steps on the other nodes, in their order, and what stands in their way."""

import json
from pathlib import Path
from typing import Any

import pytest

from server.cluster.membership import GroupReport, Report
from server.config.file import Config, load
from server.operator import rebuild as module
from server.operator.rebuild import NodeSilent, Rebuild, RebuildError, rebuild

N1, N2, N3 = 1, 2, 3


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    monkeypatch.setattr(module, "pause_s", 0.001)
    monkeypatch.setattr(module, "patience_s", 0.2)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "c.toml"
    path.write_text(
        'cluster = "test"\ngroups = 2\n' + "".join(f"[nodes.n{n}]\nport = {7000 + n}\n" for n in (1, 2, 3))
    )
    return load(path)


class Nodes:
    """n2 and n3 as they would answer: n2 leads groups 0 and 1, n3 group 2; n1 is a voter of all."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []
        """What they were asked, in order."""
        self.said: list[str] = []
        self.peer = {"n2": "refused", "n3": "absent"}
        self.leader: dict[int, str | None] = {0: "n2", 1: "n2", 2: "n3"}
        self.members = {group: [N1, N2, N3] for group in range(3)}
        self.removals_take = 1
        """Rounds of REMOVE until the change is in force."""
        self.applied = 20
        """By the leaders; their logs end at 20."""
        self.failing: dict[tuple[str, str], RebuildError] = {}

    def ask(self, node: str, step: str) -> Report:
        self.steps.append((step, node))
        if (node, step) in self.failing:
            raise self.failing[node, step]
        if step == "FENCE":
            self.peer[node] = "fenced"
        elif step == "ACCEPT":
            self.peer[node] = "absent"
        elif step == "REMOVE" and self.rounds(node) > self.removals_take:
            for group, leader in self.leader.items():
                if leader == node:
                    self.members[group] = [N2, N3]
        groups = [
            GroupReport(group, 5, self.leader[group] == node, self.applied, 20, self.members[group])
            for group in range(3)
        ]
        return Report("test", node, self.peer[node], groups)

    def rounds(self, node: str) -> int:
        return self.steps.count(("REMOVE", node))

    def order(self) -> list[str]:
        """The steps, each told once, in the order in which they began."""
        return list(dict.fromkeys(step for step, _ in self.steps))


def run(config: Config, nodes: Nodes, name: str = "n1") -> None:
    Rebuild(config, name, nodes.ask, nodes.said.append).run()


def test_all_other_nodes_check_then_fence_then_remove_until_it_is_done_then_accept(config: Config) -> None:
    nodes = Nodes()
    nodes.removals_take = 3
    run(config, nodes)
    assert nodes.order() == ["CHECK", "FENCE", "REMOVE", "ACCEPT"]
    for step, times in (("CHECK", 1), ("FENCE", 1), ("REMOVE", 4), ("ACCEPT", 1)):
        assert [nodes.steps.count((step, node)) for node in ("n2", "n3")] == [times, times]
    # No step begins anywhere before the one before it is done everywhere.
    assert [step for step, _ in nodes.steps] == sorted(
        (step for step, _ in nodes.steps), key=["CHECK", "FENCE", "REMOVE", "ACCEPT"].index
    )
    assert nodes.members == {group: [N2, N3] for group in range(3)}
    assert nodes.said[-1].startswith("done: now start n1 with an empty data directory")


def test_a_healthy_node_is_left_alone(config: Config) -> None:
    nodes = Nodes()
    nodes.peer = {"n2": "connected", "n3": "connected"}
    with pytest.raises(RebuildError, match="n1 is connected to n2 and n3, so it runs and has its data"):
        run(config, nodes)
    assert nodes.order() == ["CHECK"]


@pytest.mark.parametrize("other", ["refused", "fenced"])
def test_a_node_that_one_accepts_and_another_refuses_is_rebuilt(config: Config, other: str) -> None:
    # n2 never met n1 before, or a rebuild was cut short between the two.
    nodes = Nodes()
    nodes.peer = {"n2": "connected", "n3": other}
    run(config, nodes)
    assert nodes.order()[-1] == "ACCEPT"


def test_nothing_is_changed_while_a_group_has_no_leader(config: Config) -> None:
    nodes = Nodes()
    nodes.leader[2] = None
    with pytest.raises(
        RebuildError, match=r"shard group 2 has no leader among n2 and n3: a majority .* has to be up"
    ):
        run(config, nodes)
    assert nodes.order() == ["CHECK"]
    assert nodes.said == ["waiting: shard group 2 has no leader among n2 and n3"]


def test_an_election_is_waited_for(config: Config) -> None:
    nodes = Nodes()
    nodes.leader[2] = None
    nodes.said = _Elect(nodes)  # type: ignore[assignment]
    run(config, nodes)
    assert nodes.order()[-1] == "ACCEPT"


class _Elect(list[str]):
    """Once somebody says that he waits, n3 is elected."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    def append(self, line: str) -> None:
        self._nodes.leader[2] = "n3"


def test_a_leader_of_an_older_term_is_not_believed(config: Config) -> None:
    nodes = Nodes()

    def ask(node: str, step: str) -> Report:
        report = nodes.ask(node, step)
        if node == "n3":
            report.groups[0].term = 6  # n3 has voted for somebody else than n2
        return report

    with pytest.raises(RebuildError, match="shard group 0 has no leader"):
        Rebuild(config, "n1", ask, nodes.said.append).run()


def test_every_other_node_has_to_take_part(config: Config) -> None:
    nodes = Nodes()
    nodes.failing["n3", "CHECK"] = NodeSilent(
        "node n3: 127.0.0.1:7003 can not be reached: Connection refused"
    )
    with pytest.raises(RebuildError, match=r"(?s)node n3: .* refused\nevery other node has to take part"):
        run(config, nodes)
    assert nodes.order() == ["CHECK"]


def test_a_refusal_of_a_node_is_told_once_and_as_it_is(config: Config) -> None:
    nodes = Nodes()
    for node in ("n2", "n3"):
        nodes.failing[node, "CHECK"] = RebuildError("shard group 1 has 2 voters")
    with pytest.raises(RebuildError, match=r"^shard group 1 has 2 voters$"):
        run(config, nodes)


def test_it_is_not_accepted_before_it_is_out_of_every_group(config: Config) -> None:
    nodes = Nodes()
    nodes.removals_take = 1 << 30
    with pytest.raises(RebuildError, match="shard groups 0, 1, 2 have n1 as a member, or no leader"):
        run(config, nodes)
    assert nodes.order() == ["CHECK", "FENCE", "REMOVE"]


def test_an_addition_that_may_still_be_in_the_log_is_waited_for(config: Config) -> None:
    nodes = Nodes()
    nodes.removals_take = 0
    nodes.applied = 19
    with pytest.raises(RebuildError, match="as a member, or no leader"):
        run(config, nodes)
    assert "ACCEPT" not in nodes.order()


def test_after_a_rebuild_that_was_cut_short_the_same_command_goes_through(config: Config) -> None:
    nodes = Nodes()
    nodes.failing["n3", "ACCEPT"] = NodeSilent("node n3: it went away")
    with pytest.raises(RebuildError, match="give the same command again"):
        run(config, nodes)
    assert nodes.peer == {"n2": "absent", "n3": "fenced"}
    nodes.failing.clear()
    run(config, nodes)
    assert nodes.peer == {"n2": "absent", "n3": "absent"}


def test_who_answers_must_be_the_node_of_the_file(config: Config, monkeypatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def request(*args: Any) -> bytes:
        asked.append(args)
        return json.dumps(["other", "n2", "absent", []]).encode()

    monkeypatch.setattr(module, "request", request)
    with pytest.raises(
        RebuildError, match=r"at 127.0.0.1:700\d is node n2 of cluster other, not node n\d of test"
    ):
        rebuild(config, "n1", "secret", print)
    assert ("127.0.0.1", 7002, ("CLUSTER", "REBUILD", "CHECK", "n1"), "secret") in asked


def test_a_standalone_node_has_nobody_to_get_its_data_from() -> None:
    with pytest.raises(RebuildError, match="stands alone"):
        rebuild(Config(), "standalone", "", print)
