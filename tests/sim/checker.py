"""What must hold after every simulated step.

The checker sees every node from outside, its disk included, and remembers what the cluster has promised: the
one committed history, who led which term, the highest index that any client has seen. All checks are
incremental: a step touches one node, so `observe` compares that node with what it was before, and costs a few
comparisons when nothing changed. Three registries make that enough:

- `entries`: every entry that ever was on a disk or in a message, by (index, term), with the term of its
  predecessor. Two logs that agree on an entry and, by this registry, on each predecessor, agree on all before
  it: log matching.
- `history`: the committed entries, appended by the leader that commits them first. Any node that commits
  another entry at the same index breaks state machine safety; any leader of a later term that lacks one,
  leader completeness.
- `completed`: the highest index that a finished write or read has shown to a client. Everything that begins
  later must see at least that, and no valid lease may exist at a leader that does not know it.
"""

from bisect import bisect_right
from typing import TYPE_CHECKING

from raft.core.messages import CONF_CHANGE, ConfState, Entry, Message, MessageKind
from raft.core.node import RaftNode
from raft.core.ready import Ready, Role
from tests.sim.disk import Data, chain
from tests.sim.violation import InvariantViolation

if TYPE_CHECKING:
    from tests.sim.host import Host

TERM_BITS = 24
APPEND = int(MessageKind.APPEND)
APPEND_RESPONSE = int(MessageKind.APPEND_RESPONSE)
VOTE = int(MessageKind.VOTE)
VOTE_RESPONSE = int(MessageKind.VOTE_RESPONSE)
LEADER = int(Role.LEADER)


def _key(index: int, term: int) -> int:
    return index << TERM_BITS | term


class View:
    """What one node looked like after its last step."""

    __slots__ = (
        "commit",
        "fresh_as_of_us",
        "handed_out",
        "is_leader",
        "last_index",
        "last_term",
        "match",
        "seen",
        "term",
        "times_us",
    )

    def __init__(self, term: int, commit: int, handed_out: int) -> None:
        self.term = term
        self.commit = commit
        self.is_leader = False
        self.last_index = 0
        self.last_term = 0
        self.handed_out = handed_out
        """Last index given to the state machine in Ready.committed."""
        self.match: dict[int, int] = {}
        self.fresh_as_of_us = 0
        self.times_us: list[int] = []
        """When it was looked at, by its own clock,"""
        self.seen: list[int] = []
        """and the highest index that clients had seen then."""


class Checker:
    """Holds the promises of one run. `index`, `term`: the state that every first member starts from."""

    def __init__(self, hosts: dict[int, "Host"], index: int, term: int) -> None:
        self.hosts = hosts
        self.base_index = index
        self.history: list[Entry] = []
        self.commit_terms: list[int] = []
        """Term of the leader that first committed the entry at the same place in `history`."""
        self.digests: list[int] = [0]
        self.values: dict[int, tuple[list[int], list[int]]] = {}
        """Per key: indexes of its writes, and the values written."""
        self.entries: dict[int, tuple[Entry, int]] = {}
        self.confs: dict[int, ConfState] = {}
        """Index of a membership change -> the members that it made."""
        self.leader_of_term: dict[int, int] = {}
        self.leaders: dict[int, Host] = {}
        """Running nodes that believe they lead, paused ones included."""
        self.completed = index
        self.base_term = term

    @property
    def committed(self) -> int:
        """Last index of the committed history."""
        return self.base_index + len(self.history)

    def term_of(self, index: int) -> int:
        return self.history[index - self.base_index - 1].term if index > self.base_index else self.base_term

    # Life of a node

    def started(self, host: "Host") -> None:
        """A node was built from its disk: it knows no less than the disk does, and nothing that is false."""
        core = host.core
        disk = host.disk
        if core.term != disk.hard_state.term or core.vote != disk.hard_state.vote:
            raise InvariantViolation("restart", f"node {host.id} restarted with another term or vote")
        if core.commit < disk.hard_state.commit or core.commit < disk.data.applied:
            raise InvariantViolation("restart", f"node {host.id} restarted with commit {core.commit}")
        if core.commit > self.base_index and core.term_at(core.commit) != self.term_of(core.commit):
            raise InvariantViolation("state machine safety", f"node {host.id} restarted with a foreign log")
        host.view = View(core.term, core.commit, disk.data.applied)
        self.check_data(host.id, disk.data)
        self.conf_applied(host, disk.data)
        self.core_agrees(host)

    def stopped(self, host: "Host") -> None:
        self.leaders.pop(host.id, None)

    def observe(self, host: "Host") -> None:
        """Called after each call into the core of `host`."""
        core = host.core
        view = host.view
        term = core.term
        if term != view.term and term < view.term:
            raise InvariantViolation(
                "terms only grow", f"node {host.id} went from term {view.term} to {term}"
            )
        if core.role == LEADER:
            if not view.is_leader or term != view.term:
                self._elected(host, term)
            self._leader(host, core, view)
        elif view.is_leader:
            view.is_leader = False
            del self.leaders[host.id]
        view.term = term
        commit = core.commit
        if commit != view.commit:
            if commit < view.commit:
                raise InvariantViolation(
                    "committed never shrinks", f"node {host.id}: {view.commit} -> {commit}"
                )
            self._committed(host, commit)
            view.commit = commit
        self._replica_is_fresh(host, view)
        if len(self.leaders) > 1:
            self._leases_do_not_overlap()
        if view.is_leader and commit < self.completed:
            self._lease_is_fresh(host)

    # Elections

    def _elected(self, host: "Host", term: int) -> None:
        other = self.leader_of_term.setdefault(term, host.id)
        if other != host.id:
            raise InvariantViolation("election safety", f"nodes {other} and {host.id} both lead term {term}")
        durable = host.disk.hard_state
        conf = host.core.conf
        is_alone = conf.voters == (host.id,) and conf.voters_outgoing in ((), conf.voters)
        # Who votes alone leads at once; what it then says and commits is checked against its disk all the
        # same.
        if (durable.term != term or durable.vote != host.id) and not is_alone:
            raise InvariantViolation(
                "votes are durable", f"node {host.id} leads term {term}, its own vote on disk is {durable}"
            )
        core = host.core
        position = len(self.commit_terms) - 1
        while position >= 0 and self.commit_terms[position] >= term:
            position -= 1
        if position >= 0:
            self._leader_holds(host, position)
        view = host.view
        view.is_leader = True
        view.last_index = core.last_index
        view.last_term = core.term_at(view.last_index)
        view.match.clear()
        self.leaders[host.id] = host

    def _leader_holds(self, host: "Host", position: int) -> None:
        entry = self.history[position]
        core = host.core
        if entry.index < core.first_index - 1:
            return
        if entry.index > core.last_index or core.term_at(entry.index) != entry.term:
            raise InvariantViolation(
                "leader completeness",
                f"node {host.id} leads term {core.term} without entry ({entry.index}, term {entry.term}), "
                f"committed in term {self.commit_terms[position]}",
            )

    def _leader(self, host: "Host", core: RaftNode, view: View) -> None:
        last_index = core.last_index
        if last_index != view.last_index:
            if last_index < view.last_index or core.term_at(view.last_index) != view.last_term:
                raise InvariantViolation(
                    "leader append-only", f"leader {host.id} changed its log below {last_index}"
                )
            view.last_index = last_index
            view.last_term = core.term_at(last_index)
        seen = view.match
        for peer, progress in core.progress.items():
            match = progress.match
            if match >= progress.next:
                raise InvariantViolation(
                    "match < next", f"leader {host.id} about {peer}: match {match}, next {progress.next}"
                )
            if seen.get(peer) != match:
                seen[peer] = match
                self._match_is_durable(host, core, peer, match)

    def _match_is_durable(self, host: "Host", core: RaftNode, peer: int, match: int) -> None:
        if match < core.first_index - 1 or match == 0:
            return
        disk = self.hosts[peer].disk
        if disk.hard_state.term <= core.term and not disk.log.holds(match, core.term_at(match)):
            raise InvariantViolation(
                "acknowledged means durable",
                f"leader {host.id} believes that node {peer} holds ({match}, term {core.term_at(match)}), "
                f"its disk ends at {disk.log.last_index}",
            )

    # Leases

    def _leases_do_not_overlap(self) -> None:
        holders = [host.id for host in self.leaders.values() if host.core.lease_valid(host.local_us())]
        if len(holders) > 1:
            raise InvariantViolation(
                "leases do not overlap", f"nodes {holders} hold a lease at the same time"
            )

    def _lease_is_fresh(self, host: "Host") -> None:
        if host.core.lease_valid(host.local_us()):
            raise InvariantViolation(
                "linearizable lease reads",
                f"leader {host.id} has a lease and commit {host.core.commit}, clients have seen {self.completed}",
            )

    def _replica_is_fresh(self, host: "Host", view: View) -> None:
        """What was applied lacks nothing that clients had seen at the time that the node names."""
        as_of_us = host.core.fresh_as_of_us
        if as_of_us != view.fresh_as_of_us:
            view.fresh_as_of_us = as_of_us
            times, seen = view.times_us, view.seen
            at = bisect_right(times, as_of_us)
            if at and host.core.applied < seen[at - 1]:
                raise InvariantViolation(
                    "replicas know how old they are",
                    f"node {host.id} has applied {host.core.applied}, as of {as_of_us} clients had seen {seen[at - 1]}",
                )
        view.times_us.append(host.local_us())
        view.seen.append(self.completed)

    # Log and commit

    def ready(self, host: "Host", ready: Ready) -> None:
        """Checks what the core asks its runtime to do."""
        commit = host.view.commit
        if ready.entries and ready.entries[0].index <= commit:
            for entry in ready.entries:
                if entry.index <= commit and entry.term != self.term_of(entry.index):
                    raise InvariantViolation(
                        "committed never shrinks", f"node {host.id} overwrites {entry.index} below {commit}"
                    )
        if ready.committed:
            self._handed_out(host, ready.committed)

    def persisted(self, host: "Host", entries: list[Entry]) -> None:
        """`entries` have reached the disk of `host`, whether the node will ever hear of it or not."""
        if entries:
            self._register(host, entries, host.disk.log.term(entries[0].index - 1))

    def _register(self, host: "Host", entries: list[Entry] | tuple[Entry, ...], previous_term: int) -> None:
        known = self.entries
        for entry in entries:
            key = _key(entry.index, entry.term)
            found = known.get(key)
            if found is None:
                known[key] = entry, previous_term
            elif found[1] != previous_term or (found[0] is not entry and found[0] != entry):
                raise InvariantViolation(
                    "log matching",
                    f"node {host.id}: ({entry.index}, term {entry.term}) follows term {previous_term} "
                    f"where elsewhere it follows {found[1]}, or its content differs",
                )
            previous_term = entry.term

    def _handed_out(self, host: "Host", committed: list[Entry]) -> None:
        view = host.view
        for entry in committed:
            if entry.index != view.handed_out + 1:
                raise InvariantViolation(
                    "apply order", f"node {host.id} was given entry {entry.index} after {view.handed_out}"
                )
            view.handed_out = entry.index
            self.check_entry(host.id, entry)
        if not host.disk.log.holds(entry.index, entry.term):
            raise InvariantViolation(
                "committed entries are stable", f"node {host.id} applies {entry.index}, not on its disk yet"
            )

    def check_entry(self, node: int, entry: Entry) -> None:
        """`entry`, applied or acknowledged by `node`, is the committed one."""
        if entry.index > self.committed:
            raise InvariantViolation(
                "state machine safety", f"node {node} uses {entry.index}, nobody committed it"
            )
        expected = self.history[entry.index - self.base_index - 1]
        if entry is not expected and entry != expected:
            raise InvariantViolation(
                "state machine safety", f"node {node} has {entry}, committed is {expected}"
            )

    def _committed(self, host: "Host", commit: int) -> None:
        core = host.core
        if commit <= self.committed:
            if commit > self.base_index and core.term_at(commit) != self.term_of(commit):
                raise InvariantViolation(
                    "state machine safety",
                    f"node {host.id} commits ({commit}, term {core.term_at(commit)}), "
                    f"the cluster has committed term {self.term_of(commit)} there",
                )
            return
        if core.role != LEADER:
            raise InvariantViolation(
                "leaders commit first", f"node {host.id} commits {commit}, no leader has"
            )
        if core.term_at(commit) != core.term:
            raise InvariantViolation(
                "commit counts own term",
                f"leader {host.id} of term {core.term} commits ({commit}, term {core.term_at(commit)}) by counting",
            )
        for index in range(self.committed + 1, commit + 1):
            self._append(host, index, core.term_at(index))
        conf = core.conf
        for voters in (conf.voters, conf.voters_outgoing):
            holders = [v for v in voters if self.hosts[v].disk.log.holds(commit, core.term)]
            if len(holders) * 2 <= len(voters) and voters:
                raise InvariantViolation(
                    "committed means durable on a majority",
                    f"leader {host.id} commits {commit}: on the disks of {holders} of {voters} only",
                )
        for other in self.leaders.values():
            if other.core.term > core.term:
                self._leader_holds(other, len(self.history) - 1)

    def _append(self, host: "Host", index: int, term: int) -> None:
        found = self.entries.get(_key(index, term))
        if found is None:
            raise InvariantViolation(
                "log matching", f"node {host.id} commits ({index}, term {term}), never logged"
            )
        entry, previous_term = found
        if previous_term != self.term_of(index - 1):
            raise InvariantViolation(
                "state machine safety", f"({index}, term {term}) does not follow the history"
            )
        self.history.append(entry)
        self.commit_terms.append(host.core.term)
        self.digests.append(chain(self.digests[-1], entry))
        if entry.data and entry.kind != CONF_CHANGE:
            key, _, value = entry.data.partition(b"=")
            indexes, values = self.values.setdefault(int(key), ([], []))
            indexes.append(index)
            values.append(int(value))

    # Messages

    def sent(self, host: "Host", message: Message) -> None:
        """A message leaves: what it promises is on the disk of its sender."""
        kind = message.kind
        if message.entries:
            self._register(host, message.entries, message.log_term)
        if message.reject or kind not in (APPEND_RESPONSE, VOTE_RESPONSE, VOTE, APPEND):
            return
        durable = host.disk.hard_state
        if durable.term > message.term:
            return
        if durable.term < message.term:
            raise InvariantViolation(
                "term before reply", f"node {host.id} sends {message}, the term on its disk is {durable.term}"
            )
        if kind == VOTE_RESPONSE and durable.vote != message.to:
            raise InvariantViolation(
                "vote before reply",
                f"node {host.id} votes for {message.to}, the vote on its disk is {durable.vote}",
            )
        if kind == APPEND_RESPONSE and host.disk.log.last_index < message.index:
            raise InvariantViolation(
                "entries before reply",
                f"node {host.id} acknowledges {message.index}, its disk ends at {host.disk.log.last_index}",
            )

    # Clients

    def acknowledged(self, host: "Host", entry: Entry, floor: int) -> None:
        """A client is told that its write is `entry`; when it began clients had seen up to `floor`."""
        self.check_entry(host.id, entry)
        if entry.index <= floor:
            raise InvariantViolation(
                "linearizable writes", f"write at {entry.index} began after {floor} was seen"
            )
        self._complete(entry.index)

    def read_allowed(self, host: "Host", index: int, floor: int, how: str) -> None:
        """Node `host` says that a read may be served from `index` on; it began when clients had seen `floor`."""
        if index < floor:
            raise InvariantViolation(
                f"linearizable {how} reads",
                f"node {host.id} allows a read at {index}, clients had seen {floor}",
            )

    def read(self, host: "Host", key: int, floor: int) -> None:
        """A client is told the value of `key` from the data of `host`."""
        data = host.disk.data
        indexes, values = self.values.get(key, ([], []))
        position = bisect_right(indexes, data.applied)
        expected = values[position - 1] if position else None
        if data.applied < floor or data.values.get(key) != expected:
            raise InvariantViolation(
                "linearizable reads", f"node {host.id} serves key {key} at {data.applied}"
            )
        self._complete(data.applied)

    def _complete(self, index: int) -> None:
        if index > self.completed:
            self.completed = index
            for host in self.leaders.values():
                if host.core.commit < index:
                    self._lease_is_fresh(host)

    def conf_applied(self, host: "Host", data: Data) -> None:
        """A membership change, or a snapshot, has taken effect at `host`: the same members as everywhere."""
        expected = self.confs.setdefault(data.conf_index, data.conf)
        if data.conf != expected:
            raise InvariantViolation(
                "members agree", f"node {host.id} has {data.conf} as of {data.conf_index}, others {expected}"
            )

    def change_is_durable(self, host: "Host", index: int) -> None:
        """The state machine may forget in a crash that it applied the membership change at `index`.

        Then the log must still know that it is committed, or the node goes by members that left long ago.
        """
        if host.disk.hard_state.commit < index:
            raise InvariantViolation(
                "changes are durably committed",
                f"node {host.id} applies the change at {index}, its disk says {host.disk.hard_state}",
            )

    def core_agrees(self, host: "Host") -> None:
        """After a start or an installed snapshot the core goes by the members that the disk names."""
        data = host.disk.data
        if host.core.conf != data.conf:
            raise InvariantViolation(
                "members agree",
                f"core {host.id} goes by {host.core.conf}, its data at {data.applied} by {data.conf}",
            )

    def check_data(self, node: int, data: Data) -> None:
        """The state machine of `node` is the one that the committed history makes."""
        position = data.applied - self.base_index
        if position < 0:
            if data.applied:
                raise InvariantViolation("state machine safety", f"node {node} applied {data.applied}")
        elif position >= len(self.digests) or data.digest != self.digests[position]:
            raise InvariantViolation(
                "state machine safety", f"node {node} differs at applied index {data.applied}"
            )
