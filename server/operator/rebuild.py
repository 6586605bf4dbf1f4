"""`redraft rebuild`: make the other nodes take back a node whose data is lost.

Run while the node is down, or refused because of its new data directory. The other nodes do the work, each one
step at a time (CLUSTER REBUILD); why the steps are what they are, and in this order, is told in
server/cluster/membership.py. All other nodes must answer: one that were left out would go on refusing the node.
Nothing has been changed when a check fails; whatever fails later, the same command may be given again.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from server.cluster.membership import CONNECTED, FENCED, REFUSED, GroupReport, Report
from server.config.file import Config
from server.operator.status import RequestRefused, StatusError, request

patience_s = 30.0
"""How long elections, or the removal from all groups, may take."""
pause_s = 0.2
"""Between two rounds of questions."""

Ask = Callable[[str, str], Report]
"""ask(node, step): the node's report after that step. Raises RebuildError, NodeSilent."""


class RebuildError(Exception):
    """It can not be done, or not now; the text says why and what to do."""


class NodeSilent(RebuildError):
    """A node that has to take part does not answer."""


def rebuild(config: Config, name: str, password: str, say: Callable[[str], None]) -> None:
    """Rebuild the node `name` of `config`; `say` gets a line now and then. Raises RebuildError, ConfigError.

    `password`: of the nodes; empty: the one of the configuration, if there is one.
    """
    name = config.node_name(name)
    if not config.clustered:
        raise RebuildError(f"{name} stands alone: there are no other nodes that have its data")
    password = password or config.redis_parameters()["requirepass"]

    def ask(node: str, step: str) -> Report:
        address = config.nodes[node]
        try:
            reply = request(address.host, address.port, ("CLUSTER", "REBUILD", step, name), password)
            report = msgspec.json.decode(reply, type=Report)
        except RequestRefused as error:
            text = error.reply.removeprefix("ERR ")
            raise RebuildError(f"node {node}: {error}" if text == error.reply else text) from error
        except (StatusError, msgspec.MsgspecError, TypeError) as error:
            raise NodeSilent(f"node {node}: {error}") from error
        if (report.cluster, report.node) != (config.cluster, node):
            raise RebuildError(
                f"at {address.host}:{address.port} is node {report.node} of cluster {report.cluster}, not node {node}"
                f" of {config.cluster}: is {config.source} the file that the nodes run with?"
            )
        return report

    Rebuild(config, name, ask, say).run()


class Rebuild:
    """The steps, in their order."""

    def __init__(self, config: Config, name: str, ask: Ask, say: Callable[[str], None]) -> None:
        """`name`: a node of a configuration with several."""
        self._name = name
        self._others = [node for node in config.nodes if node != name]
        numbers = list(config.nodes)
        self._number = numbers.index(name) + 1
        self._groups = sorted(config.topology(name).groups)
        self._ask = ask
        self._say = say

    def run(self) -> None:
        """All of it. Raises RebuildError."""
        name = self._name
        self._check()
        self._say(f"checked: {_and(self._others)} can rebuild {name}")
        self._step("FENCE")
        self._say(f"fenced: nobody is accepted as {name} until this is done")
        self._remove()
        self._say(f"removed: {name} is a member of no shard group any more")
        self._step("ACCEPT")
        self._say(
            f"done: now start {name} with an empty data directory, unless it runs with one already; it gets its data"
            " from the others, as `redraft status` shows"
        )

    def _step(self, step: str) -> list[Report]:
        """Take a step on all other nodes at the same time. Raises RebuildError when one of them can not."""
        with ThreadPoolExecutor(max_workers=len(self._others)) as threads:
            futures = [threads.submit(self._ask, node, step) for node in self._others]
        problems = [error for future in futures if (error := future.exception()) is not None]
        if not problems:
            return [future.result() for future in futures]
        for error in problems:
            if not isinstance(error, NodeSilent):
                raise error  # several say the same, most often
        raise RebuildError(
            "\n".join(map(str, problems))
            + "\nevery other node has to take part (if its data is lost too, with an"
            " empty directory): start it, then give the same command again"
        )

    def _check(self) -> None:
        def look() -> str:
            reports = self._step("CHECK")
            connected = [report.node for report in reports if report.peer == CONNECTED]
            if connected and not any(report.peer in (REFUSED, FENCED) for report in reports):
                raise RebuildError(
                    f"node {self._name} is connected to {_and(connected)}, so it runs and has its data; stop it first"
                    " if it is to be rebuilt nevertheless"
                )
            leaders = _leaders(reports)
            without = [group for group in self._groups if group not in leaders]
            return f"{_groups(without)} no leader among {_and(self._others)}" if without else ""

        self._until(look, f"a majority of its replicas besides {self._name} has to be up")

    def _remove(self) -> None:
        goals: dict[int, tuple[str, int, int]] = {}

        def look() -> str:
            leaders = _leaders(self._step("REMOVE"))
            left = []
            for number in self._groups:
                if number not in leaders:
                    left.append(number)
                    continue
                node, group = leaders[number]
                # An addition that was proposed before all nodes were fenced may be in the log still.
                goal = goals.get(number)
                if goal is None or goal[:2] != (node, group.term):
                    goal = goals[number] = (node, group.term, group.last_index)
                if group.applied < goal[2] or self._number in group.members:
                    left.append(number)
            return f"{_groups(left)} {self._name} as a member, or no leader" if left else ""

        self._until(look, "see with `redraft status` what is wrong, then give the same command again")

    def _until(self, look: Callable[[], str], advice: str) -> None:
        """Repeat `look` until it has no more to say than ""; tell what it says. Raises RebuildError in the end."""
        deadline_s = time.monotonic() + patience_s
        told = ""
        while problem := look():
            if time.monotonic() > deadline_s:
                raise RebuildError(f"for {patience_s:g} seconds {problem}: {advice}")
            if problem != told:
                told = problem
                self._say(f"waiting: {problem}")
            time.sleep(pause_s)


def _leaders(reports: list[Report]) -> dict[int, tuple[str, GroupReport]]:
    """Group to its leader's name and report. A leader of an older term than another replica knows is none."""
    newest: dict[int, int] = {}
    for report in reports:
        for group in report.groups:
            newest[group.group] = max(group.term, newest.get(group.group, 0))
    return {
        group.group: (report.node, group)
        for report in reports
        for group in report.groups
        if group.leading and group.term == newest[group.group]
    }


def _groups(numbers: list[int]) -> str:
    names = ", ".join(map(str, numbers[:8])) + (", …" if len(numbers) > 8 else "")
    return f"shard group {names} has" if len(numbers) == 1 else f"shard groups {names} have"


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
