"""Was it possible? A checker for linearizability over recorded histories of one-key commands.

A history is a list of operations, each with the time at which a client sent it and the time at which it had the
reply. It is linearizable when there is an instant between the two for each, such that carrying them out at
those instants gives the replies that were seen. Keys are independent (Herlihy and Wing, locality), so each is
checked alone.

The search is that of Wing and Gong, with the memory of Lowe ("Testing for linearizability", 2017): go down by
choosing any operation that no other, not yet chosen one precedes; remember every (set of chosen operations,
state) that has been seen. What keeps it short:

* an operation that leaves the state as it is and gives the reply that was seen is taken at once, without
  alternatives: taking it later could only be harder;
* an operation whose outcome is unknown (no reply, or one that says so) may take effect at any later time or never. It
  never has to be chosen; it is chosen only right before something that sees what it did; and of several that do the
  same, the one that was sent first.

What was definitely refused must not be in the history: if it had an effect after all, somebody's reply becomes
impossible.

Values are strings, None for a key that does not exist; sets and lists are their elements with commas between, those of
a set in order. To add a command: a line in `apply`.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

NEVER = 1 << 62
"""The time of a reply that never came."""
UNSEEN = "(a value that nobody saw)"

Reply = str | int | None
State = str | None


@dataclass(frozen=True, slots=True)
class Operation:
    """One command of one client on one key."""

    client: str
    key: str
    command: tuple[str, ...]
    """Name and arguments without the key: ("set", "v"), ("set", "v", "nx"), ("set", "v", "ifeq", "old"),
    ("get",), ("incr",), ("del",), ("sadd", "m"), …"""
    sent_ns: int
    done_ns: int
    """NEVER: the outcome is unknown."""
    reply: Reply = None
    """"OK", a value, a number, None. An error reply that the model predicts: its first word."""

    @property
    def unknown(self) -> bool:
        """Whether the outcome is unknown."""
        return self.done_ns == NEVER


def apply(state: State, command: tuple[str, ...]) -> tuple[State, Reply]:
    """What `command` makes of a key with value `state`, and its reply."""
    match command:
        case ("get",):
            return state, state
        case ("set", value):
            return value, "OK"
        case ("set", value, "nx"):
            return (value, "OK") if state is None else (state, None)
        case ("set", value, "ifeq", old):
            return (value, "OK") if state == old else (state, None)
        case ("incr",):
            if state is None:
                return "1", 1
            if not state.lstrip("-").isdigit():
                return state, "ERR"
            number = int(state) + 1
            return str(number), number
        case ("del",):
            return None, int(state is not None)
    elements = state.split(",") if state else []
    match command:
        case ("scard",) | ("llen",):
            return state, len(elements)
        case ("smembers",) | ("lrange",):
            return state, state or ""
        case ("sismember", member):
            return state, int(member in elements)
        case ("sadd", member):
            return _joined(sorted({*elements, member})), int(member not in elements)
        case ("srem", member):
            return _joined([one for one in elements if one != member]), int(member in elements)
        case ("rpush", element):
            return _joined([*elements, element]), len(elements) + 1
        case ("lpop",) | ("rpop",) if not elements:
            return None, None
        case ("lpop",):
            return _joined(elements[1:]), elements[0]
        case ("rpop",):
            return _joined(elements[:-1]), elements[-1]
    raise AssertionError(f"no such command in the model: {command}")


def _joined(elements: list[str]) -> State:
    return ",".join(elements) or None


def check_key(operations: Iterable[Operation], initial: State = None) -> bool:
    """Whether a history of one key is linearizable, beginning with the value `initial`."""
    ops = sorted(operations, key=lambda op: (op.sent_ns, op.done_ns))
    commands = _interchangeable(ops)
    required = sum(1 << number for number, op in enumerate(ops) if not op.unknown)
    if not required:
        return True
    seen: set[Position] = set()
    stack = [_choices(ops, commands, (0, initial, False))]
    while stack:
        position = next(stack[-1], None)
        if position is None:
            stack.pop()
        elif position not in seen:
            if position[0] & required == required:
                return True
            seen.add(position)
            stack.append(_choices(ops, commands, position))
    return False


Position = tuple[int, State, bool]
"""Bits of the chosen operations, the state that they lead to, and whether the last of them has an unknown outcome."""


def _choices(ops: list[Operation], commands: list[tuple[str, ...]], position: Position) -> Iterator[Position]:
    """The positions that can follow."""
    chosen, state, after_unknown = position
    known: list[Position] = []
    unknown: list[Position] = []
    tried: set[tuple[str, ...]] = set()
    earliest_done_ns = NEVER
    for number in range((~chosen & (chosen + 1)).bit_length() - 1, len(ops)):
        if chosen >> number & 1:
            continue
        op = ops[number]
        if op.sent_ns > earliest_done_ns:
            break  # something unchosen precedes it, and all that come after it
        earliest_done_ns = min(earliest_done_ns, op.done_ns)
        command = commands[number]
        if after_unknown and command[0] == "set" and len(command) == 2:
            continue  # nobody would have seen what the unknown one did: it need not be chosen
        after, reply = apply(state, command)
        if op.unknown:
            if after != state and command not in tried:
                tried.add(command)
                unknown.append((chosen | 1 << number, after, True))
        elif reply == op.reply:
            if after == state:
                return iter([(chosen | 1 << number, state, False)])
            known.append((chosen | 1 << number, after, False))
    return iter(known + unknown)  # unknown ones are rarely needed


def _interchangeable(ops: list[Operation]) -> list[tuple[str, ...]]:
    """The commands, with one and the same value for all writes of unknown outcome whose value nobody ever saw."""
    seen = {op.reply for op in ops if not op.unknown} | {op.command[3] for op in ops if len(op.command) == 4}
    counting = any(op.command[0] == "incr" for op in ops)

    def command(op: Operation) -> tuple[str, ...]:
        if not op.unknown or op.command[0] != "set":
            return op.command
        value = op.command[1]
        if value in seen or (counting and value.lstrip("-").isdigit()):
            return op.command
        return ("set", UNSEEN, *op.command[2:])

    return [command(op) for op in ops]


def wrong_keys(history: Iterable[Operation]) -> list[str]:
    """The keys whose histories are not linearizable."""
    by_key: dict[str, list[Operation]] = defaultdict(list)
    for operation in history:
        by_key[operation.key].append(operation)
    return [key for key, operations in by_key.items() if not check_key(operations)]


def smallest_wrong_prefix(operations: Iterable[Operation]) -> list[Operation]:
    """Of a history that is not linearizable: the operations up to the first reply that could not be.

    Replies are taken away from the end, so that what remains is as short as it gets in that way: the last operation
    with an outcome is the one that contradicts the others.
    """
    ops = sorted(operations, key=lambda op: op.done_ns)
    known = [op for op in ops if not op.unknown]
    unknown = [op for op in ops if op.unknown]
    for end in range(1, len(known) + 1):
        last_ns = known[end - 1].done_ns
        later = [
            Operation(op.client, op.key, op.command, op.sent_ns, NEVER)
            for op in known[end:]
            if op.sent_ns < last_ns
        ]
        prefix = [*known[:end], *later, *(op for op in unknown if op.sent_ns < last_ns)]
        if not check_key(prefix):
            return prefix
    raise AssertionError("this history is linearizable")


def save(path: Path, history: Iterable[Operation]) -> None:
    """Write a history, one operation a line."""
    path.write_text("".join(json.dumps(asdict(op)) + "\n" for op in history))


def load(path: Path) -> list[Operation]:
    """Read what `save` wrote."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [Operation(**{**row, "command": tuple(row["command"])}) for row in rows]
