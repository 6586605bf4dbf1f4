"""Clients that pass elements on while servers suffer: queues, sets, streams with consumer groups, transfers of money.

Every element that is pushed has a name of its own, so the end can be compared with what clients were told:

* what was acknowledged is there once; what was refused is not; what nobody knows of, once at most;
* who pops (BLPOP, BLMPOP, SPOP, ZPOPMIN, BZPOPMIN, XREADGROUP) is given an element that nobody else is given. A pop
  whose outcome is unknown may have taken elements with it, and nobody else may ever see them; a move (BLMOVE) loses
  nothing at all;
* a script that names no keys, and finds its way to the group of the one that it writes, writes it once;
* a transfer (MULTI, WATCH, or a script) takes from one account, gives to the other and notes its name, all of it or
  nothing: whoever reads both accounts at once always sees the same sum, and the notes explain the balance.

Poppers leave now and then while they wait, and some wait at a node that is not the one that others push at. `judge_…`
are pure: what they find is listed in words, `problems`.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Self

import hiredis

from tests.processes.client import Client, ConnectionLost
from tests.processes.crew import Crew
from tests.processes.harness import Server, key_of, refused

ACKED, UNKNOWN, REFUSED = "acknowledged", "unknown", "refused"
_REFUSALS = ("TRYAGAIN", "CLUSTERDOWN", "MOVED", "UNBLOCKED")
PAUSE_S = 0.006
WAIT_S = 0.4
POPPED_MAX = 3
"""Elements that one pop takes at most."""
START_BALANCE = 1_000_000
TRANSFER = (
    "redis.call('decrby', KEYS[1], ARGV[1]) redis.call('hincrby', KEYS[2], 'money', ARGV[1])"
    " redis.call('rpush', KEYS[3], ARGV[2]) return 1"
)
PUSH = "return redis.call('rpush', ARGV[1], ARGV[2])"
"""To be called without keys."""
READ_BOTH = "return {redis.call('get', KEYS[1]), redis.call('hget', KEYS[2], 'money')}"


def judge_elements(
    pushed: dict[str, str], delivered: Sequence[str], left: Sequence[str], lost_max: int
) -> list[str]:
    """`pushed`: element to what its pusher was told; `delivered`: what poppers were given; `left`: what is still there;
    `lost_max`: how many elements pops of unknown outcome may have taken."""
    seen = Counter(delivered) + Counter(left)
    found = [f"{element} was seen {count} times" for element, count in seen.items() if count > 1]
    refused = [element for element in seen if pushed.get(element, REFUSED) == REFUSED]
    found += [f"{element} was seen, though its push was refused" for element in refused]
    missing = [element for element, told in pushed.items() if told == ACKED and element not in seen]
    if len(missing) > lost_max:
        found.append(f"{len(missing)} acknowledged elements are missing ({missing[:5]}), {lost_max} may be")
    return found


def judge_order(delivered: Iterable[tuple[str, int, int]]) -> list[str]:
    """`delivered`: element, when its pop was sent, when it was answered. One producer's elements (`producer.number`)
    leave a queue in the order in which they came."""
    latest: dict[str, tuple[int, str]] = {}
    found = []
    for element, sent_ns, done_ns in sorted(delivered, key=lambda row: int(row[0].rpartition(".")[2])):
        producer = element.rpartition(".")[0]
        if producer in latest and done_ns < latest[producer][0]:
            found.append(f"{element} was popped before {latest[producer][1]}, which came first")
        latest[producer] = max(latest.get(producer, (0, "")), (sent_ns, element))
    return found


def judge_transfers(
    told: dict[str, tuple[str, int]], noted: Sequence[str], one: int, other: int
) -> list[str]:
    """`told`: transfer to what its client was told and how much it was; `noted`: the names in the log; `one` and
    `other`: the accounts."""
    found = judge_elements({name: what for name, (what, _) in told.items()}, [], noted, 0)
    moved = sum(told[name][1] for name in noted if name in told)
    if (one, other) != (START_BALANCE - moved, moved):
        found.append(f"the accounts hold {one} and {other}, but {moved} was moved")
    return found


class Lane:
    """The keys of one shard group, and what became of their elements."""

    def __init__(self, name: str, group: int, groups: int) -> None:
        tag = "{" + key_of(group, of=groups, name=f"{name}:") + "}"
        self.queue, self.source, self.target, self.stream = (f"{tag}{kind}" for kind in ("q", "m", "d", "s"))
        self.one, self.other, self.notes = (f"{tag}{kind}" for kind in ("a", "b", "t"))
        self.bag, self.ladder = (f"{tag}{kind}" for kind in ("u", "z"))
        kept_in = (self.queue, self.source, self.stream, self.bag, self.ladder)
        self.pushed: dict[str, dict[str, str]] = {key: {} for key in kept_in}
        self.popped: list[tuple[str, int, int]] = []
        self.drawn: dict[str, list[str]] = {self.bag: [], self.ladder: []}
        self.moved: list[str] = []
        self.read: list[str] = []
        self.acked: list[str] = []
        """Ids of stream entries whose XACK was answered."""
        self.transfers: dict[str, tuple[str, int]] = {}
        self.lost: Counter[str] = Counter()
        """Popper to how many elements of the queue its pops of unknown outcome may have taken."""
        self.draws_lost: Counter[str] = Counter()
        """Likewise of the set and the sorted set together."""


class Elements(Crew):
    """A context manager: clients work inside of it. Afterwards `problems`."""

    def __init__(self, servers: Sequence[Server], seed: int, name: str, *, groups: int = 3) -> None:
        self.servers = list(servers)
        self.seed = seed
        self.surprises: list[str] = []
        self.lanes = [Lane(f"{name}{seed}", group, groups) for group in range(1, groups + 1)]
        self.counts: Counter[str] = Counter()
        """How many operations of each kind were answered."""
        roles: list[Callable[[Client, random.Random, str, int], None]] = [
            *(self._push, self._push, self._push, self._pop, self._pop, self._pop, self._move, self._move),
            *(self._read, self._read, self._transfer, self._transfer, self._look, self._draw, self._draw),
        ]
        super().__init__(
            *(partial(self._run, role, f"{role.__name__[1:]}{number}") for number, role in enumerate(roles))
        )

    def __enter__(self) -> Self:
        with self.servers[0].client() as client:
            for lane in self.lanes:
                for request in (
                    ("set", lane.one, START_BALANCE),
                    ("hset", lane.other, "money", 0),
                    ("xgroup", "create", lane.stream, "g", "$", "mkstream"),
                ):
                    _settled(client, request)
        return super().__enter__()

    # -- clients ----------------------------------------------------------------------------------------------------

    def _run(
        self,
        role: Callable[[Client, random.Random, str, int], None],
        name: str,
        over: threading.Event,
    ) -> None:
        rng = random.Random(f"{self.seed}/{name}")
        serial = 0
        while not over.is_set():
            try:
                with Client(rng.choice(self.servers).port, 8.0) as client:
                    while not over.is_set():
                        serial += 1
                        role(client, rng, name, serial)
                        time.sleep(rng.expovariate(1 / PAUSE_S))
            except ConnectionLost:
                over.wait(0.03)
            except Exception as error:
                self.surprises.append(f"{name}: {error!r}")
                return

    def _told(self, name: str, reply: Any) -> str:
        """What a reply says of the outcome."""
        if not isinstance(reply, hiredis.ReplyError):
            self.counts[name.rstrip("0123456789")] += 1
            return ACKED
        code = str(reply).split()[0]
        self.counts[code] += 1
        if code == "UNKNOWN":
            return UNKNOWN
        if code not in _REFUSALS:
            self.surprises.append(f"{name}: {reply}")
        return REFUSED

    def _push(self, client: Client, rng: random.Random, name: str, serial: int) -> None:
        lane = rng.choice(self.lanes)
        element = f"{name}.{serial}"
        key = rng.choice((lane.queue, lane.queue, lane.source, lane.stream, lane.bag, lane.ladder))
        told = lane.pushed[key]
        told[element] = UNKNOWN
        if key == lane.stream:
            told[element] = self._told(name, client.call("xadd", key, "*", "element", element))
        elif key == lane.bag:
            told[element] = self._told(name, client.call("sadd", key, element))
        elif key == lane.ladder:
            told[element] = self._told(name, client.call("zadd", key, rng.randrange(5), element))
        elif rng.random() < 0.2:
            told[element] = self._told(
                name, client.pipeline(("multi",), ("rpush", key, element), ("exec",))[-1]
            )
        elif rng.random() < 0.2:
            told[element] = self._told(name, client.call("eval", PUSH, 0, key, element))
        else:
            told[element] = self._told(name, client.call("rpush", key, element))

    def _pop(self, client: Client, rng: random.Random, name: str, serial: int) -> None:
        lane = rng.choice(self.lanes)
        sent_ns = time.monotonic_ns()
        request: tuple[str | bytes | int, ...] = ("blpop", lane.queue, str(WAIT_S))
        most = 1
        if rng.random() < 0.3:
            request, most = ("blmpop", str(WAIT_S), 1, lane.queue, "left", "count", POPPED_MAX), POPPED_MAX
        lane.lost[name] += most  # until the outcome is known
        client.send(request)
        if rng.random() < 0.02:
            client.close()
            raise ConnectionLost("the client leaves")
        reply = client.receive()
        told = self._told(name, reply)
        if told == UNKNOWN:
            return
        lane.lost[name] -= most
        if told == ACKED and reply is not None:
            elements = reply[1] if isinstance(reply[1], list) else [reply[1]]
            done_ns = time.monotonic_ns()
            lane.popped += [(element.decode(), sent_ns, done_ns) for element in elements]

    def _draw(self, client: Client, rng: random.Random, name: str, serial: int) -> None:
        lane = rng.choice(self.lanes)
        key, request = rng.choice(
            (
                (lane.bag, ("spop", lane.bag, POPPED_MAX)),
                (lane.ladder, ("zpopmin", lane.ladder, POPPED_MAX)),
                (lane.ladder, ("bzpopmin", lane.ladder, str(WAIT_S))),
            )
        )
        lane.draws_lost[name] += POPPED_MAX  # until the outcome is known
        reply = client.call(*request)
        told = self._told(name, reply)
        if told == UNKNOWN:
            return
        lane.draws_lost[name] -= POPPED_MAX
        if told == ACKED and reply:
            found = {"spop": reply, "zpopmin": reply[::2], "bzpopmin": reply[1:2]}[str(request[0])]
            lane.drawn[key] += [element.decode() for element in found]

    def _move(self, client: Client, rng: random.Random, name: str, serial: int) -> None:
        lane = rng.choice(self.lanes)
        request: tuple[str, ...] = ("blmove", lane.source, lane.target, "left", "right", str(WAIT_S))
        if rng.random() < 0.3:
            request = ("brpoplpush", lane.source, lane.target, str(WAIT_S))
        reply = client.call(*request)
        if self._told(name, reply) == ACKED and reply is not None:
            lane.moved.append(reply.decode())

    def _read(self, client: Client, rng: random.Random, name: str, serial: int) -> None:
        lane = rng.choice(self.lanes)
        reply = client.call(
            *("xreadgroup", "group", "g", name, "count", POPPED_MAX),
            *("block", int(WAIT_S * 1000), "streams", lane.stream, ">"),
        )
        if self._told(name, reply) != ACKED or reply is None:
            return
        ids = [entry[0].decode() for entry in reply[0][1]]
        lane.read += [entry[1][1].decode() for entry in reply[0][1]]
        if rng.random() < 0.8:
            reply = client.call("xack", lane.stream, "g", *ids)
            if self._told("ack", reply) == ACKED:
                lane.acked += ids
                if reply != len(ids):
                    self.surprises.append(f"{name}: XACK of {ids}, which nobody else has, says {reply}")

    def _transfer(self, client: Client, rng: random.Random, name: str, serial: int) -> None:
        lane = rng.choice(self.lanes)
        id_, amount = f"{name}.{serial}", rng.randrange(1, 100)
        lane.transfers[id_] = (UNKNOWN, amount)
        way = rng.randrange(3)
        if way == 0:
            reply = client.call("eval", TRANSFER, 3, lane.one, lane.other, lane.notes, amount, id_)
            told = self._told(name, reply)
        else:
            commands: list[tuple[str | bytes | int, ...]] = [
                ("decrby", lane.one, amount),
                ("hincrby", lane.other, "money", amount),
            ]
            told = ACKED
            if way == 1:
                told = self._told("watch", client.call("watch", lane.one))
                if told == ACKED and isinstance(held := client.call("get", lane.one), bytes):
                    commands[0] = ("set", lane.one, int(held) - amount)
                else:
                    told = REFUSED
            if told == ACKED:
                commands.append(("rpush", lane.notes, id_))
                reply = client.pipeline(("multi",), *commands, ("exec",))[-1]
                told = REFUSED if reply is None else self._told(name, reply)
            else:
                client.call("unwatch")
        lane.transfers[id_] = (told, amount)

    def _look(self, client: Client, rng: random.Random, name: str, serial: int) -> None:
        lane = rng.choice(self.lanes)
        if rng.random() < 0.5:
            reply = client.call("eval_ro", READ_BOTH, 2, lane.one, lane.other)
        else:
            reply = client.pipeline(("multi",), ("get", lane.one), ("hget", lane.other, "money"), ("exec",))[
                -1
            ]
        if self._told(name, reply) == ACKED and sum(map(int, reply)) != START_BALANCE:
            self.surprises.append(f"{name}: one reads {reply} of two accounts that hold {START_BALANCE}")

    # -- results ----------------------------------------------------------------------------------------------------

    def problems(self, server: Server) -> list[str]:
        """What is not as it must be, in words, when everything works again."""
        found = list(self.surprises)
        with server.client() as client:
            for lane in self.lanes:
                found += [f"{lane.queue}: {problem}" for problem in self._problems(client, lane)]
        return found

    def _problems(self, client: Client, lane: Lane) -> list[str]:
        lists = (lane.queue, lane.source, lane.target, lane.notes)
        replies = _settled(
            client,
            ("multi",),
            *(("lrange", key, 0, -1) for key in lists),
            ("get", lane.one),
            ("hget", lane.other, "money"),
            ("exec",),
        )
        queue, source, target, notes = ([element.decode() for element in reply] for reply in replies[:4])
        lost_max = sum(lane.lost.values())
        found = judge_elements(lane.pushed[lane.queue], [row[0] for row in lane.popped], queue, lost_max)
        found += judge_order(row for row in lane.popped if lane.pushed[lane.queue].get(row[0]) == ACKED)
        for key, command in ((lane.bag, ("smembers",)), (lane.ladder, ("zrange", "0", "-1"))):
            left = [element.decode() for element in _settled(client, (command[0], key, *command[1:]))]
            draws_lost = sum(lane.draws_lost.values())
            found += judge_elements(lane.pushed[key], lane.drawn[key], left, draws_lost)
        found += judge_elements(lane.pushed[lane.source], [], [*source, *target], 0)
        found += [f"{element} was moved twice" for element, count in Counter(lane.moved).items() if count > 1]
        found += [f"{element} was moved and is not there" for element in set(lane.moved) - set(target)]
        found += judge_transfers(lane.transfers, notes, int(replies[4]), int(replies[5]))
        return found + self._stream_problems(client, lane)

    def _stream_problems(self, client: Client, lane: Lane) -> list[str]:
        found_entries = _settled(client, ("xrange", lane.stream, "-", "+"))
        entries = {id_.decode(): fields[1].decode() for id_, fields in found_entries}
        found = judge_elements(lane.pushed[lane.stream], [], list(entries.values()), 0)
        rows = _settled(client, ("xpending", lane.stream, "g", "-", "+", 1_000_000))
        pending = {row[0].decode() for row in rows}
        request = ("xreadgroup", "group", "g", "last", "count", 1_000_000, "streams", lane.stream, ">")
        rest = _settled(client, request)
        unread = [entry[1][1].decode() for entry in rest[0][1]] if rest else []
        seen = Counter([*lane.read, *unread])
        found += [f"{element} was read {count} times" for element, count in seen.items() if count > 1]
        known = {element for id_, element in entries.items() if id_ in pending} | set(seen)
        found += [
            f"{element} is in the stream, and nobody read it" for element in set(entries.values()) - known
        ]
        return found + [f"{id_} was acknowledged and is pending" for id_ in pending & set(lane.acked)]


def _settled(client: Client, *requests: tuple[str | bytes | int, ...]) -> Any:
    """The last reply to some requests, which are sent again as long as they are refused."""
    while refused(reply := client.pipeline(*requests)[-1]):
        time.sleep(PAUSE_S)
    assert not isinstance(reply, hiredis.ReplyError), reply
    return reply
