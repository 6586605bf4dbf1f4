"""The language of tests/raft/scripts: a group of nodes on one shelf, moved by commands, speaking what they do.

A story is a text file of blocks: comments, a command, `----`, what came of it, an empty line. Nothing happens
unless a command says so, time included; every message, write and application is visible. test_scripts.py runs the
stories and compares; with REDRAFT_RECORD=1 it writes what came of each command into the file instead. Commit a
changed recording only if you understand what changed it.

Commands (N is a node id, LINK is `1->2`, `1->*` or `*->2`)
    cluster V.. [learners=V,V] [setting=value..]   nodes with these voters; settings are RaftConfig's
    add N [setting=value..]             one more fresh node that knows no members
    tick N|all [count]                  time passes (10 ms a tick, for everybody's clock)
    time MS                             the clock moves without ticks
    campaign N · transfer N TARGET · read N · lease N · unreachable N PEER · snapshot-report N PEER ok|failed
    propose N TEXT | propose N size=BYTES
    change N [+V] [~LEARNER] [-V] [implicit|explicit]      no changes: leave the joint state
    ready N                             take one Ready: send `messages`, apply, put the writing aside
    save N                              finish the writing: it is on disk, then `messages_after` are sent
    hold N | release N                  a slow state machine: what is handed out is not applied until released
    deliver [LINK] [KIND] · drop [LINK] [KIND] · duplicate [LINK] [KIND]    messages on the wire
    cut LINK.. · heal                   messages on a link are lost from now on
    stabilize [quiet]                   ready, save and deliver until nobody has anything to do
    crash N · restart N [applied=INDEX] what was not saved is gone; what was applied is on disk (up to INDEX)
    compact N INDEX                     (any applied state may be sent as a snapshot, the newest is)
    offer N INDEX                       the state to send is that of INDEX, until more is applied
    without-snapshot N · with-snapshot N        it is temporarily not to be had, and is again
    step N KIND from=N term=N [field=value..] [entries=2/1:a,3/1:b] [snapshot=9/1:1,2,3]     a message out of nowhere
    status [N..] · log N · progress N

To add a command: a method `do_<name>` here, a line above.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from raft.core import (
    CONF_CHANGE,
    NORMAL,
    Change,
    ChangeKind,
    ConfChange,
    ConfState,
    Corrupted,
    Entry,
    HardState,
    JointMode,
    MemoryLog,
    Message,
    MessageKind,
    RaftConfig,
    RaftError,
    RaftNode,
    Ready,
    SnapshotMeta,
    decode_conf_change,
    encode_conf_change,
)

TICK_US = 10_000


class Host:
    """A node, its disk, and its state machine (which remembers its members at each index)."""

    def __init__(self, config: RaftConfig, conf: ConfState) -> None:
        self.config = config
        self.disk = MemoryLog()
        self.hard_state = HardState()
        self.applied = 0
        self.conf = conf
        self.conf_at: dict[int, ConfState] = {0: conf}
        self.outstanding: Ready | None = None
        self.held: list[Entry] | None = None
        self.draws = 0
        self.node: RaftNode | None = None
        self.start()

    def start(self) -> None:
        self.outstanding = None
        self.held = None
        self.node = RaftNode(self.config, self.disk, self.hard_state, self.conf, self.applied, self._random)

    def conf_as_of(self, index: int) -> ConfState:
        return self.conf_at[max(at for at in self.conf_at if at <= index)]

    def offer(self, index: int) -> SnapshotMeta:
        meta = SnapshotMeta(index, self.disk.term(index), self.conf_as_of(index))
        self.disk.offer_snapshot(meta)
        return meta

    def _random(self, bound: int) -> int:
        return min(self.config.id - 1, bound - 1)  # node 1 loses patience first


class Script:
    """Runs commands; `run` returns what came of one, as text."""

    def __init__(self) -> None:
        self.hosts: dict[int, Host] = {}
        self.wire: list[Message] = []
        self.cuts: set[tuple[str, str]] = set()
        self.now_us = 1_000_000
        self.out: list[str] = []

    def run(self, line: str) -> str:
        name, *words = line.split()
        self.out = []
        command: Callable[[list[str]], None] = getattr(self, "do_" + name.replace("-", "_"))
        try:
            command(words)
        except (RaftError, Corrupted) as error:
            self.out.append(f"{type(error).__name__}: {error}")
        self._check()
        return "\n".join(self.out) or "ok"

    def _check(self) -> None:
        """What must hold after every command, whatever the story."""
        for host in self.hosts.values():
            if host.node is not None:
                for peer in host.node.progress.values():
                    assert peer.match < peer.next, f"node {host.config.id} about {peer.id}"

    # Setting up

    def do_cluster(self, words: list[str]) -> None:
        voters = tuple(int(word) for word in words if word.isdigit())
        settings = _settings(words)
        learners = tuple(int(id) for id in settings.pop("learners", "").split(",") if id)
        for id in (*voters, *learners):
            self._add(id, ConfState(voters, learners=learners), settings)

    def do_add(self, words: list[str]) -> None:
        self._add(int(words[0]), ConfState(()), _settings(words))

    def _add(self, id: int, conf: ConfState, settings: dict[str, str]) -> None:
        values: dict[str, Any] = {
            key: value == "true" if value in ("true", "false") else int(value)
            for key, value in settings.items()
        }
        config = RaftConfig(id=id, election_ticks=10, heartbeat_ticks=2)
        self.hosts[id] = Host(dataclasses.replace(config, **values), conf)

    def do_crash(self, words: list[str]) -> None:
        self.hosts[int(words[0])].node = None

    def do_restart(self, words: list[str]) -> None:
        host = self.hosts[int(words[0])]
        if len(words) > 1:
            host.applied = int(_settings(words)["applied"])
            host.conf = host.conf_as_of(host.applied)
        host.start()

    def do_without_snapshot(self, words: list[str]) -> None:
        self.hosts[int(words[0])].disk.snapshot_ready = False

    def do_with_snapshot(self, words: list[str]) -> None:
        self.hosts[int(words[0])].disk.snapshot_ready = True

    def do_compact(self, words: list[str]) -> None:
        self.hosts[int(words[0])].disk.compact(int(words[1]))

    def do_offer(self, words: list[str]) -> None:
        host = self.hosts[int(words[0])]
        self.out.append(show_snapshot(host.offer(int(words[1]))))

    # What happens to a node

    def _node(self, word: str) -> RaftNode:
        node = self.hosts[int(word)].node
        assert node is not None, f"node {word} is down"
        return node

    def do_tick(self, words: list[str]) -> None:
        ids = list(self.hosts) if words[0] == "all" else [int(words[0])]
        for _ in range(int(words[1]) if len(words) > 1 else 1):
            self.now_us += TICK_US
            for id in ids:
                node = self.hosts[id].node
                if node is not None:
                    node.tick(self.now_us)

    def do_time(self, words: list[str]) -> None:
        self.now_us += int(words[0]) * 1000

    def do_campaign(self, words: list[str]) -> None:
        self._node(words[0]).campaign(self.now_us)

    def do_transfer(self, words: list[str]) -> None:
        self._node(words[0]).transfer_leadership(int(words[1]), self.now_us)

    def do_read(self, words: list[str]) -> None:
        self.out.append(f"question {self._node(words[0]).read_index(self.now_us)}")

    def do_lease(self, words: list[str]) -> None:
        self.out.append("valid" if self._node(words[0]).lease_valid(self.now_us) else "no lease")

    def do_unreachable(self, words: list[str]) -> None:
        self._node(words[0]).report_unreachable(int(words[1]))

    def do_snapshot_report(self, words: list[str]) -> None:
        self._node(words[0]).report_snapshot(int(words[1]), words[2] == "ok")

    def do_propose(self, words: list[str]) -> None:
        size = _settings(words).get("size")
        data = b"x" * int(size) if size else words[1].encode()
        self.out.append(f"index {self._node(words[0]).propose(data, self.now_us)}")

    def do_change(self, words: list[str]) -> None:
        kinds = {"+": ChangeKind.ADD_VOTER, "~": ChangeKind.ADD_LEARNER, "-": ChangeKind.REMOVE}
        changes = tuple(Change(kinds[word[0]], int(word[1:])) for word in words[1:] if word[0] in kinds)
        mode = JointMode[words[-1].upper()] if words[-1].isalpha() else JointMode.AUTO
        index = self._node(words[0]).propose_conf_change(ConfChange(changes, mode), self.now_us)
        self.out.append(f"index {index}")

    def do_step(self, words: list[str]) -> None:
        fields: dict[str, Any] = {}
        for key, value in _settings(words).items():
            if key == "entries":
                fields[key] = tuple(_entry(text) for text in value.split(","))
            elif key == "snapshot":
                place, _, voters = value.partition(":")
                index, term = place.split("/")
                conf = ConfState(tuple(int(voter) for voter in voters.split(",")))
                fields[key] = SnapshotMeta(int(index), int(term), conf)
            else:
                fields[key.replace("-", "_")] = value == "true" if value == "true" else int(value)
        message = Message(MessageKind[words[1]], fields.pop("from"), int(words[0]), **fields)
        self._node(words[0]).step(message, self.now_us)

    # What a node has to do

    def do_ready(self, words: list[str]) -> None:
        self._ready(self.hosts[int(words[0])])

    def do_save(self, words: list[str]) -> None:
        self._save(self.hosts[int(words[0])])

    def do_hold(self, words: list[str]) -> None:
        self.hosts[int(words[0])].held = []

    def do_release(self, words: list[str]) -> None:
        host = self.hosts[int(words[0])]
        entries, host.held = host.held, None
        self._apply(host, entries or [])

    def _ready(self, host: Host) -> None:
        node = host.node
        assert node is not None
        ready = node.ready()
        id = host.config.id
        self.out.append(f"{id} {ready.role.name.lower()} term={ready.term} leader={ready.leader}")
        if ready.persist:
            assert host.outstanding is None
            host.outstanding = ready
        else:
            assert not ready.messages_after
        for message in ready.messages:
            self._send("send", message)
        for number, index in ready.reads:
            self.out.append(f"  read {number} at {index}")
        for number in ready.reads_lost:
            self.out.append(f"  read {number} lost")
        if host.held is not None:
            for entry in ready.committed:
                self.out.append(f"  handed {show_entry(entry)}")
            host.held += ready.committed
        else:
            self._apply(host, ready.committed)

    def _apply(self, host: Host, entries: list[Entry]) -> None:
        node = host.node
        assert node is not None
        for entry in entries:
            assert entry.index == host.applied + 1, "applied out of order"
            self.out.append(f"  apply {show_entry(entry)}")
            if entry.kind == CONF_CHANGE:
                host.conf = node.apply_conf_change(decode_conf_change(entry.data))
                host.conf_at[entry.index] = host.conf
                self.out.append(f"  members {show_conf(host.conf)}")
            host.applied = entry.index
        if entries:
            host.offer(host.applied)
            node.applied_to(entries[-1].index)

    def _save(self, host: Host) -> None:
        ready, host.outstanding = host.outstanding, None
        assert ready is not None, "nothing to save"
        node = host.node
        assert node is not None
        if ready.snapshot is not None:
            host.disk.apply_snapshot(ready.snapshot)
            host.applied, host.conf = ready.snapshot.index, ready.snapshot.conf
            host.conf_at[host.applied] = host.conf
            self.out.append(f"  saved {show_snapshot(ready.snapshot)}")
        if ready.entries:
            host.disk.append(ready.entries)
            self.out.append(f"  saved {' '.join(show_entry(entry) for entry in ready.entries)}")
        if ready.hard_state is not None:
            host.hard_state = ready.hard_state
            term, vote, commit = ready.hard_state
            self.out.append(f"  saved term={term} vote={vote} commit={commit}")
        node.advance(ready)
        for message in ready.messages_after:
            self._send("send after", message)

    # The wire

    def _send(self, verb: str, message: Message) -> None:
        cut = any(
            (sender, to) in self.cuts
            for sender in (str(message.sender), "*")
            for to in (str(message.to), "*")
        )
        host = self.hosts.get(message.to)
        lost = cut or host is None or host.node is None
        self.out.append(f"  {verb} {show_message(message)}{' (lost)' if lost else ''}")
        if not lost:
            self.wire.append(message)

    def _chosen(self, words: list[str]) -> list[Message]:
        links = [word.split("->") for word in words if "->" in word]
        kinds = [MessageKind[word] for word in words if "->" not in word]
        return [
            message
            for message in self.wire
            if all(
                word in ("*", str(end))
                for link in links
                for word, end in zip(link, message[1:3], strict=True)
            )
            and (not kinds or message.kind in kinds)
        ]

    def _remove(self, chosen: list[Message]) -> None:
        self.wire = [message for message in self.wire if not any(message is one for one in chosen)]

    def do_deliver(self, words: list[str]) -> None:
        chosen = self._chosen(words)
        self._remove(chosen)
        for message in chosen:
            self.out.append(f"  {show_message(message)}")
            self._deliver(message)

    def _deliver(self, message: Message) -> None:
        node = self.hosts[message.to].node
        if node is not None:
            node.step(message, self.now_us)

    def do_drop(self, words: list[str]) -> None:
        chosen = self._chosen(words)
        self._remove(chosen)
        self.out += [f"  {show_message(message)}" for message in chosen]

    def do_duplicate(self, words: list[str]) -> None:
        self.wire += [Message(*message) for message in self._chosen(words)]

    def do_cut(self, words: list[str]) -> None:
        for word in words:
            sender, to = word.split("->")
            self.cuts.add((sender, to))

    def do_heal(self, words: list[str]) -> None:
        self.cuts.clear()

    def do_stabilize(self, words: list[str]) -> None:
        for _ in range(1000):
            busy = False
            for host in self.hosts.values():
                while host.node is not None and (host.outstanding is not None or host.node.has_ready()):
                    busy = True
                    if host.node.has_ready():
                        self._ready(host)
                    if host.outstanding is not None:
                        self._save(host)
            wire, self.wire = self.wire, []
            for message in wire:
                self._deliver(message)
            if not busy and not wire:
                break
        else:
            raise AssertionError("the group never comes to rest")
        if words == ["quiet"]:
            self.out = []

    # Looking

    def do_status(self, words: list[str]) -> None:
        for id in [int(word) for word in words] or self.hosts:
            node = self.hosts[id].node
            if node is None:
                self.out.append(f"{id} down")
                continue
            self.out.append(
                f"{id} {node.role.name.lower()} term={node.term} vote={node.vote} leader={node.leader}"
                f" commit={node.commit} applied={node.applied} log=[{node.first_index}, {node.last_index}]"
                f" members {show_conf(node.conf)}"
            )

    def do_log(self, words: list[str]) -> None:
        node = self._node(words[0])
        terms = [f"{i}/{node.term_at(i)}" for i in range(node.first_index, node.last_index + 1)]
        self.out.append(" ".join(terms) or "empty")

    def do_progress(self, words: list[str]) -> None:
        status = self._node(words[0]).status()
        for peer in status.peers:
            self.out.append(
                f"{peer.id} {peer.state} match={peer.match} next={peer.next}"
                f" inflight={peer.inflight_messages}/{peer.inflight_bytes}"
                f"{' active' if peer.recent_active else ''}{' learner' if peer.learner else ''}"
            )
        self.out.append(f"uncommitted bytes {status.uncommitted_bytes}")


def _settings(words: list[str]) -> dict[str, str]:
    settings = {}
    for word in words:
        key, equals, value = word.partition("=")
        if equals:
            settings[key] = value
    return settings


def _entry(text: str) -> Entry:
    place, data = text.split(":")
    index, term = place.split("/")
    return Entry(int(index), int(term), NORMAL, data.encode())


def show_entry(entry: Entry) -> str:
    if entry.kind == CONF_CHANGE:
        text = show_change(decode_conf_change(entry.data))
        assert encode_conf_change(decode_conf_change(entry.data)) == entry.data
    elif not entry.data:
        text = "noop"
    else:
        text = f"{len(entry.data)}B" if len(entry.data) > 20 else entry.data.decode()
    return f"{entry.index}/{entry.term}:{text}"


def show_change(change: ConfChange) -> str:
    signs = {ChangeKind.ADD_VOTER: "+", ChangeKind.ADD_LEARNER: "~", ChangeKind.REMOVE: "-"}
    text = ",".join(f"{signs[ChangeKind(kind)]}{node}" for kind, node in change.changes)
    return text or "leave-joint"


def show_conf(conf: ConfState) -> str:
    text = f"{_ids(conf.voters)}"
    if conf.voters_outgoing:
        text += f"&{_ids(conf.voters_outgoing)}"
    if conf.learners:
        text += f" learners={_ids(conf.learners)}"
    if conf.learners_next:
        text += f" learners_next={_ids(conf.learners_next)}"
    return text + (" auto-leave" if conf.auto_leave else "")


def _ids(ids: tuple[int, ...]) -> str:
    return "(" + " ".join(map(str, ids)) + ")"


def show_snapshot(meta: SnapshotMeta) -> str:
    return f"snapshot {meta.index}/{meta.term} members {show_conf(meta.conf)}"


def show_message(message: Message) -> str:
    kind = MessageKind(message.kind)
    return " ".join(
        [f"{message.sender}->{message.to} {kind.name} term={message.term}", *_details(message, kind)]
    )


def _details(message: Message, kind: MessageKind) -> Iterator[str]:
    if kind in (MessageKind.VOTE, MessageKind.PRE_VOTE):
        yield f"last={message.index}/{message.log_term}"
    elif kind is MessageKind.APPEND:
        yield f"after={message.index}/{message.log_term} commit={message.commit}"
    elif kind is MessageKind.HEARTBEAT:
        yield f"commit={message.commit}"
    elif kind is MessageKind.APPEND_RESPONSE:
        yield f"index={message.index}"
    if kind.name.endswith(("VOTE", "VOTE_RESPONSE")) and message.commit:
        yield f"commit={message.commit}/{message.hint_term}"
    if message.transfer:
        yield "transfer"
    if message.context:
        yield f"read={message.context}"
    if message.reject:
        yield "reject"
        if kind is MessageKind.APPEND_RESPONSE:
            yield f"hint={message.hint}/{message.hint_term}"
    if message.entries:
        yield "[" + " ".join(show_entry(entry) for entry in message.entries) + "]"
    if message.snapshot is not None:
        yield show_snapshot(message.snapshot)
