"""Clients that pipeline, each on keys of its own: whatever happens to leaders, each sees what one server would tell.

A client sends some commands in one go and compares the replies with a model. A command that was certainly not applied
changes nothing, nor may it be done later; one whose outcome is unknown, or a lost connection, makes the client go on
with other keys.
"""

import random
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any

import hiredis

from tests.processes.client import Client, ConnectionLost
from tests.processes.crew import Crew
from tests.processes.harness import Server

keys_per_client = 3
commands_max = 12
clients_per_server = 3
timeout_s = 20.0
NOT_APPLIED = ("TRYAGAIN", "CLUSTERDOWN")
UNKNOWN = "UNKNOWN"

Command = tuple[str, ...]


class Model:
    """What a server knows of strings and lists."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.lists: dict[str, list[bytes]] = {}

    def run(self, command: Command) -> object:
        """The reply."""
        name, key, *rest = command
        args = [word.encode() for word in rest]
        values, elements = self.values, self.lists.get(key, [])
        old = values.get(key)
        match name:
            case "get":
                return old
            case "strlen":
                return len(old or b"")
            case "set":
                values[key] = args[0]
                return b"OK"
            case "setnx":
                values.setdefault(key, args[0])
                return int(old is None)
            case "append":
                values[key] = (old or b"") + args[0]
                return len(values[key])
            case "getdel":
                return values.pop(key, None)
            case "rpush":
                self.lists[key] = [*elements, *args]
                return len(self.lists[key])
            case "lpop":
                first = elements[0] if elements else None
                self.lists[key] = elements[1:]
                return first
            case "lrange":
                return elements
        raise AssertionError(command)


def draw(rng: random.Random, prefix: str, number: int) -> Command:
    """One command."""
    key = f"{prefix}:{rng.randrange(keys_per_client)}"
    if rng.random() < 0.3:
        name = rng.choice(("rpush", "rpush", "lpop", "lrange"))
        rest = {"rpush": (str(number),), "lpop": (), "lrange": ("0", "-1")}[name]
        return name, f"{key}:list", *rest
    name = rng.choice(("get", "get", "strlen", "set", "setnx", "append", "getdel"))
    return (name, key, str(number)) if name in ("set", "setnx", "append") else (name, key)


class Pipelines(Crew):
    """Clients at work, as a context manager; `problems` afterwards."""

    def __init__(self, servers: Sequence[Server], seed: int, name: str) -> None:
        self.problems: list[str] = []
        self.done = 0
        """Commands that were carried out."""
        self.refused = 0
        self.unknown = 0
        super().__init__(
            *(
                partial(
                    self._live_on,
                    server,
                    random.Random(f"{seed}/{server.name}/{at}"),
                    f"{name}:{server.name}:{at}",
                )
                for server in servers
                for at in range(clients_per_server)
            )
        )

    def _live_on(self, server: Server, rng: random.Random, name: str, over: threading.Event) -> None:
        for life in count():
            with suppress(ConnectionLost), server.client(timeout_s=timeout_s) as client:
                self._live(client, rng, f"{name}:{life}", over)
            if over.wait(0.02):
                return

    def _live(self, client: Client, rng: random.Random, prefix: str, over: threading.Event) -> None:
        """Until something is unknown."""
        model = Model()
        story: list[tuple[Command, Any]] = []
        for number in count():
            if over.is_set():
                return
            commands = [draw(rng, prefix, number) for _ in range(rng.randint(1, commands_max))]
            client.send(*commands)
            for command in commands:
                reply = client.receive()
                story.append((command, reply))
                if isinstance(reply, hiredis.ReplyError):
                    if str(reply).startswith(UNKNOWN):
                        self.unknown += 1
                        return
                    self.refused += 1
                    if not str(reply).startswith(NOT_APPLIED):
                        self.problems.append(f"{command}: {reply}")
                        return
                    continue
                self.done += 1
                right = model.run(command)
                if reply != right:
                    key = command[1]
                    told = [step for step in story if step[0][1] == key]
                    self.problems.append(f"{right!r} would have been right at the end of {told[-12:]}")
                    return
