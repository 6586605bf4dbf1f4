"""The runtime parameters of one node: what CONFIG GET reports and CONFIG SET changes.

The table of all of them is table.py. Parameters that act are plain attributes here, so that the reactor
reads `settings.maxclients` at the price of an attribute; whoever must act on a change itself (timers, sockets already
open) asks for it with `on_change`. Changes last until the node stops: what is to last longer belongs into the
operator's config file, whose values `Settings(initial)` takes.
"""

import resource
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from server.errors import CommandError
from server.parameters.table import PARAMETERS, Parameter
from server.types.glob import compile_glob

_RESERVED_FILES = 1100
"""Open files that are not clients: two LevelDB stores' tables, logs, peers, listeners."""
_CLIENTS_MIN = 32
"""With room for fewer, a node does not start."""

PARAMETER: dict[str, Parameter] = {
    name: parameter for parameter in PARAMETERS for name in (parameter.name, *parameter.aliases)
}
"""Every name, aliases included."""


class Settings:
    """The parameters' values."""

    busy_reply_threshold_ms: int
    """0: nobody is told BUSY."""
    client_query_buffer_limit: int
    """Bytes."""
    extended_compatibility: bool
    """HELLO says that this is a Redis."""
    hash_max_listpack_entries: int
    """This and what else has such a name: see keyspace/limits.py."""
    hash_max_listpack_value: int
    hz: int
    large_reply_max_len: int
    large_request_max_len: int
    latency_monitor_threshold: int
    """Milliseconds; 0: off."""
    latency_tracking: bool
    latency_tracking_info_percentiles: tuple[float, ...]
    log_level: bytes
    """Heeded when it changes: at the start the config file's own [log] level counts."""
    list_max_listpack_size: int
    maxclients: int
    maxmemory_bytes: int
    maxmemory_clients: int
    """Bytes, or below 0 a share of `maxmemory_bytes` in percent; 0: no limit."""
    maxmemory_policy: bytes
    min_replicas_max_lag_s: int
    """0: `min_replicas_to_write` does not count."""
    min_replicas_to_write: int
    output_limits: dict[str, tuple[int, int, int]]
    """normal, replica, pubsub -> (hard bytes, soft bytes, soft seconds); 0: no limit."""
    notify_keyspace_events: bytes
    """Letters of the classes of events that this node wants (keyspace/events.py)."""
    proto_max_bulk_len: int
    """Bytes."""
    reply_larger_than: int
    """Bytes from which on COMMANDLOG has it; -1: nothing."""
    request_larger_than: int
    requirepass: bytes
    """Empty: no password."""
    set_max_intset_entries: int
    set_max_listpack_entries: int
    set_max_listpack_value: int
    slowlog_log_slower_than: int
    """Microseconds; 0: everything, -1: nothing."""
    slowlog_max_len: int
    stream_node_max_bytes: int
    stream_node_max_entries: int
    tcp_keepalive_s: int
    """0: off."""
    timeout_s: int
    """Idle clients are closed after it; 0: never."""
    tracking_table_keys_max: int
    """0: no limit."""
    zset_max_listpack_entries: int
    zset_max_listpack_value: int

    def __init__(self, initial: Mapping[str, str] | None = None) -> None:
        """`initial`: parameters by name, as text, immutable ones too; the others start at their defaults.

        Raises ValueError for a name or a value that is none.
        """
        self._values: dict[str, Any] = {}
        self._callbacks: list[Callable[[frozenset[str]], None]] = []
        self._trials: dict[str, Callable[[Mapping[str, Any]], None]] = {}
        for parameter in PARAMETERS:
            self._assign(parameter, parameter.kind.parse(parameter.default.encode(), None))
        for name, text in (initial or {}).items():
            found = PARAMETER.get(name)
            if found is None:
                raise ValueError(f"there is no parameter '{name}'")
            try:
                self._assign(found, found.kind.parse(text.encode(), self._values[found.name]))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None

    def on_change(self, callback: Callable[[frozenset[str]], None]) -> None:
        """Have `callback` called with the canonical names of what each successful CONFIG SET gave a new value."""
        self._callbacks.append(callback)

    def before_change(self, names: Iterable[str], trial: Callable[[Mapping[str, Any]], None]) -> None:
        """Have `trial` called with the values of all parameters, by canonical name, as they are to be, when CONFIG SET
        is about to change one of `names`. If it raises ValueError, nothing is changed."""
        for name in names:
            self._trials[name] = trial

    def report(self, facts: Mapping[str, str]) -> None:
        """What CONFIG GET says from now on of parameters that can not be set, by canonical name."""
        for name, text in facts.items():
            assert not PARAMETER[name].mutable, name
            self._values[name] = text.encode()

    def value(self, name: str) -> Any:
        """The value of a parameter, decoded (int, bool, bytes, …). Raises KeyError for no such parameter."""
        return self._values[PARAMETER[name].name]

    def shown(self, name: str) -> bytes:
        """The value of a parameter as CONFIG GET has it. Raises KeyError for no such parameter."""
        parameter = PARAMETER[name]
        return parameter.kind.show(self._values[parameter.name])

    def get(self, patterns: Iterable[bytes]) -> dict[bytes, bytes]:
        """CONFIG GET: name to value of each parameter that one of the glob patterns (case aside) matches. What is asked
        for by its name comes back in the asker's spelling."""
        found: dict[bytes, bytes] = {}
        for pattern in patterns:
            if any(letter in pattern for letter in b"*?["):
                matches = compile_glob(pattern.lower())
                for name, parameter in sorted(PARAMETER.items()):
                    if not parameter.hidden and matches(name.encode()):
                        found[name.encode()] = self.shown(name)
            else:
                name = pattern.lower().decode("latin-1")
                if name in PARAMETER:
                    found[pattern] = self.shown(name)
        return found

    def set(self, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        """CONFIG SET: all of the pairs of name and value or, raising CommandError, none."""
        names: list[str] = []
        for name_bytes, _ in pairs:
            name = name_bytes.lower().decode("latin-1")
            if name not in PARAMETER:
                raise CommandError(
                    b"ERR Unknown option or number of arguments for CONFIG SET - '%b'" % name_bytes
                )
            if PARAMETER[name].protected:
                raise _refused(name_bytes, "can't set protected config")
            if not PARAMETER[name].mutable:
                raise _refused(name_bytes, "can't set immutable config")
            if name in names:
                raise _refused(name_bytes, "duplicate parameter")
            names.append(name)
        values: dict[str, Any] = {}
        for name, (_, text) in zip(names, pairs, strict=True):
            parameter = PARAMETER[name]
            try:
                value = parameter.kind.parse(text, values.get(parameter.name, self._values[parameter.name]))
                if parameter.name == "maxclients":
                    make_room_for_clients(value)
            except ValueError as error:
                raise _refused(name.encode(), str(error)) from None
            values[parameter.name] = value
        changed = frozenset(name for name, value in values.items() if value != self._values[name])
        for trial, name in {
            self._trials[name]: name for name in sorted(changed) if name in self._trials
        }.items():
            try:
                trial({**self._values, **values})
            except ValueError as error:
                raise _refused(name.encode(), str(error)) from None
        for name in changed:
            self._assign(PARAMETER[name], values[name])
        if changed:
            for callback in self._callbacks:
                callback(changed)

    def _assign(self, parameter: Parameter, value: Any) -> None:
        self._values[parameter.name] = value
        if parameter.attribute:
            setattr(self, parameter.attribute, value)


def make_room_for_clients(count: int) -> None:
    """Raise the process's limit of open files so that `count` clients fit; raises ValueError when that can not be."""
    room = _room_for_clients(count)
    if room < count:
        raise ValueError(
            "The operating system is not able to handle the specified number of clients, "
            f"try with {max(room, 1)}"
        )


def clients_with_room(count: int) -> int:
    """As many of `count` clients as the system has open files for; raises ValueError when that is next to none."""
    room = _room_for_clients(count)
    if room < min(count, _CLIENTS_MIN):
        raise ValueError(
            f"the limit of open files (ulimit -n) is {room + _RESERVED_FILES}: "
            f"raise it to {count + _RESERVED_FILES}, or at least to {_RESERVED_FILES + _CLIENTS_MIN}"
        )
    return room


def _room_for_clients(count: int) -> int:
    """How many of `count` clients fit, once the process's limit of open files is as high as it needs to be and can
    be. Negative when not even the node's own files fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _RESERVED_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return count
    if hard != resource.RLIM_INFINITY and hard < wanted:
        return hard - _RESERVED_FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return count


def _refused(name: bytes, reason: str) -> CommandError:
    return CommandError(
        b"ERR CONFIG SET failed (possibly related to argument '%b') - %b" % (name, reason.encode("latin-1"))
    )
