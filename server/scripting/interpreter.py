"""Runs scripts: a Lua 5.1 state, a sandbox in it (sandbox.lua), and the way from there to commands.

A script calls back through the `Commands` that the caller of `run` gives: they take words, and return a value of
resp.values, or an Error. So this room knows no command. Values go to Lua here; a string comes back as it is, and what
else a script returns as encoded RESP (reply.lua), which reads tables raw. To cross between the two costs more than what
is done on either side, so all words of a script cross at once.

A script may take as long as it likes: every 2,000 instructions, and with each command that it calls, it breathes
(keyspace/breath.py), and meanwhile another script may come to run, which gets another Lua state. SCRIPT KILL ends it
with an error that it can not catch, and so does whoever ends the work that it is. That, and the number of bytes that
Lua may have, are the only things that are not a function of the view. One long call into C (a pattern that backtracks
for ever) is not interrupted.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from hashlib import sha1
from math import copysign, inf, isnan
from pathlib import Path
from random import getrandbits
from time import monotonic
from typing import Any, NamedTuple, Protocol

import lupa.lua51 as lua51

from resp import format_double
from resp.values import NULL_ARRAY, Attribute, BigNumber, Error, Members, Raw, Simple, Verbatim
from server.errors import CommandError
from server.keyspace.breath import Ended, breathe, current, paced
from server.scripting.libraries import LIBRARIES
from server.scripting.library import FLAGS, Function, is_name, parse_library
from server.scripting.script import Script, parse_script
from server.scripting.wording import (
    NO_WORDS,
    UNKNOWN,
    VALKEY,
    WORDINGS,
    WRONG_NAME,
    WRONG_WORDS,
    Wording,
    said_in,
)
from server.version import REDIS_VERSION, SERVER_NAME

log = logging.getLogger("redraft.script")

memory_bytes_max = 256 << 20
"""What Lua may have, for all scripts of a state together; a script that wants more fails."""
_room_bytes = 16 << 20
"""What is free whenever Python gives something to Lua: there Lua could not fail, but end the process."""
compiled_max = 500
"""Compiled scripts that are kept, the last used; and so many libraries."""
words_max = 100
"""Keys and arguments that go to a script as they are; more go in a table."""
load_time_max_s = 0.4
"""What the text of a library may take to register its functions while a client waits for just that."""
_EXACT = 1 << 53
_LEVELS = (logging.DEBUG, logging.DEBUG, logging.INFO, logging.WARNING)


class ScriptFailure(Exception):
    """Carries an error through Lua; the error itself is `pending` then."""


class Commands(Protocol):
    """What a script calls."""

    protocol: int
    """RESP version in which its answer is encoded."""

    def call(self, args: list[bytes], protocol: int) -> Any:
        """The reply to a command, of which `args` are the words, in RESP `protocol`: a value of resp.values. May raise
        Ended."""

    def may(self, args: list[bytes]) -> bool | None:
        """Whether the script's user may run it; None: there is no such command."""


class _Nothing:
    """The Commands while no script runs, and while a library is loaded: there are none."""

    protocol = 2

    def call(self, args: list[bytes], protocol: int) -> Any:
        return Error(UNKNOWN)

    def may(self, args: list[bytes]) -> bool | None:
        return None


_NOTHING = _Nothing()


class Compiled(NamedTuple):
    """A script that is ready to run."""

    digest: bytes
    """Sha1 of its text."""
    text: bytes
    script: Script
    function: Any


class Registered(NamedTuple):
    """A function of a library that is ready to run."""

    function: Function
    callback: Any


class Interpreter:
    """A Lua state. Runs one script at a time; a script can not start another."""

    def __init__(self) -> None:
        self._lua: Any = lua51.LuaRuntime(
            encoding=None,
            register_eval=False,
            unpack_returned_tuples=True,
            attribute_filter=_no_attributes,
            max_memory=memory_bytes_max,
        )
        self._compiled: OrderedDict[bytes, Compiled] = OrderedDict()
        """By digest."""
        self._by_text: dict[bytes, Compiled] = {}
        """The same."""
        self._loaded: OrderedDict[bytes, dict[bytes, Registered]] = OrderedDict()
        """By sha1 of a library's text: its functions by name."""
        self._pending: Any = None
        self._commands: Commands = _NOTHING
        self._resp = 2
        self._deadline_s = inf
        self._limit = memory_bytes_max
        """What Lua may have now."""
        self.running = False
        """A script runs, or breathes."""
        self._over: BaseException | None = None
        """Why the script is being ended."""
        libraries = {
            name: self._lua.table_from({key: self._answering(f) for key, f in functions.items()})
            for name, functions in LIBRARIES.items()
        }
        major, minor, patch = (int(part) for part in REDIS_VERSION.split("."))
        host = self._lua.table_from(
            {
                b"call": self._named(self._run_command),
                b"pcall": self._named(self._try_command),
                b"pending": self._take_pending,
                b"over": self._is_over,
                b"reason": lambda: str(self._over).encode(),
                b"sha1hex": self._short(lambda text: sha1(text).hexdigest().encode()),
                b"log": _log,
                b"setresp": self._set_resp,
                b"is_flag": lambda text: text in FLAGS,
                b"may_run": self._may_run,
                b"format_double": self._short(lambda number: format_double(float(number))),
                b"version": REDIS_VERSION.encode(),
                b"version_number": major << 16 | minor << 8 | patch,
                b"name": SERVER_NAME.encode(),
                b"libraries": self._lua.table_from(libraries),
            }
        )
        load = self._lua.eval(b"function(text, name) return assert(loadstring(text, name)) end")

        def chunk(name: str) -> Any:
            return load(Path(__file__).with_name(name).read_bytes(), b"=" + name.encode())

        seeded = chunk("random.lua")()
        seeded[b"randomseed"](getrandbits(31))
        sandbox: Any = chunk("sandbox.lua")(host, chunk("cjson.lua")(), chunk("reply.lua")(), seeded)
        self._sandbox: dict[bytes, Any] = {
            name: sandbox[name] for name in (b"compile", b"run", b"run_many", b"load", b"collect")
        }

    def find_script(self, digest: bytes) -> Compiled | None:
        """The script with that sha1, if it was compiled lately."""
        found = self._compiled.get(digest)
        if found is not None:
            self._compiled.move_to_end(digest)
        return found

    def compile(self, text: bytes) -> Compiled:
        """The script `text`, ready to run. Raises CommandError for one that is none."""
        found = self._by_text.get(text)
        if found is not None:
            self._compiled.move_to_end(found.digest)
            return found
        digest = sha1(text).digest()
        script = parse_script(text)
        self._make_room(len(text))
        try:
            function, problem = _two(self._sandbox[b"compile"](script.body))
        except lua51.LuaError as error:
            function, problem = None, str(error).encode()
        if function is None:
            raise CommandError(b"ERR Error compiling script (new function): " + problem)
        new = self._compiled[digest] = self._by_text[text] = Compiled(digest, text, script, function)
        if len(self._compiled) > compiled_max:
            _, old = self._compiled.popitem(last=False)
            del self._by_text[old.text]
        return new

    def run(self, compiled: Compiled, words: list[bytes], count: int, commands: Commands) -> bytes | Raw:
        """What the script returns: a string, or what it is encoded. The first `count` words are its keys. Raises
        CommandError when it fails."""
        return self._run(False, compiled.function, words, count, commands)

    def load(self, digest: bytes, text: bytes) -> tuple[Function, ...]:
        """Run the text of a library, whose sha1 is `digest`, unless it is loaded: what it registers. Raises
        CommandError."""
        library = self._loaded.get(digest)
        if library is None:
            library = self._loaded[digest] = self._register(text)
            if len(self._loaded) > compiled_max:
                self._loaded.popitem(last=False)
        return tuple(found.function for found in library.values())

    def find_function(self, digest: bytes, name: bytes) -> Registered | None:
        """The function `name` of a library; None when that is not loaded."""
        library = self._loaded.get(digest)
        if library is None:
            return None
        self._loaded.move_to_end(digest)
        return library[name]

    def call_function(
        self, found: Registered, words: list[bytes], count: int, commands: Commands
    ) -> bytes | Raw:
        """What a function returns, as `run`."""
        return self._run(True, found.callback, words, count, commands)

    def _run(
        self, is_function: bool, function: Any, words: list[bytes], count: int, commands: Commands
    ) -> bytes | Raw:
        self._make_room(sum(map(len, words)) + _WORD_BYTES * len(words))
        self._begin(commands)
        protocol = commands.protocol
        try:
            if len(words) <= words_max:
                said = self._sandbox[b"run"](is_function, function, protocol, count, *words)
            else:
                table = self._lua.table_from(words)
                said = self._sandbox[b"run_many"](is_function, function, protocol, count, table)
        except (lua51.LuaError, ScriptFailure) as error:
            said = b"ERR " + str(error).encode(errors="replace"), 1
        finally:
            self.running = False
            self._commands = _NOTHING
        if self._over is not None:
            self._check_end()
        if type(said) is bytes:
            return said
        text, line = said
        if line is True:
            return Raw(text)
        unit = b"user_function" if is_function else b"user_script"
        raise CommandError(b"%b script: on @%b:%d." % (text, unit, line))

    def _register(self, text: bytes) -> dict[bytes, Registered]:
        """The functions of a library, by name."""
        _, body = parse_library(text)
        self._make_room(len(text))
        self._begin(_NOTHING)
        self._deadline_s = monotonic() + load_time_max_s
        try:
            done, registered = self._sandbox[b"load"](body)
        except (lua51.LuaError, ScriptFailure) as error:
            done, registered = False, b"Error compiling function: " + str(error).encode(errors="replace")
        finally:
            self.running = False
        self._has_room(0)
        self._check_end()
        if not done:
            raise CommandError(b"ERR " + registered)
        functions: dict[bytes, Registered] = {}
        for entry in registered.values():
            name, flags = entry[b"name"], set(entry[b"flags"].values())
            if not is_name(name):
                raise CommandError(said_in(WORDINGS[entry[b"library"]], WRONG_NAME))
            if any(name.lower() == other.lower() for other in functions):
                raise CommandError(b"ERR Function already exists in the library")
            function = Function(name, entry[b"description"], tuple(flag for flag in FLAGS if flag in flags))
            functions[name] = Registered(function, entry[b"callback"])
        if not functions:
            raise CommandError(b"ERR No functions registered")
        return functions

    def _make_room(self, size: int) -> None:
        """Before Lua is given so many bytes, and runs: let it have them, and as much again as it may be left with. What
        earlier scripts have left is collected bit by bit."""
        lua = self._lua
        if lua.get_memory_used() > memory_bytes_max // 2:
            self._collect()
            if lua.get_memory_used() > memory_bytes_max // 2:
                self._compiled.clear()
                self._by_text.clear()
                self._loaded.clear()
                self._collect()
        limit = max(memory_bytes_max, lua.get_memory_used() + 2 * size + memory_bytes_max // 2)
        if limit != self._limit:
            self._limit = limit
            lua.set_max_memory(limit)

    def _collect(self) -> None:
        self.running = True  # nobody else is to use it while this breathes
        try:
            for _ in range(2):  # the first round may have begun long ago
                while not self._sandbox[b"collect"]():
                    breathe()
        finally:
            self.running = False

    def _has_room(self, size: int) -> bool:
        """Whether Lua may have so many bytes more. If not the script is to end, and has room for what it is told."""
        used: int = self._lua.get_memory_used()
        if used + size + _room_bytes <= self._limit:
            return True
        self._limit = used + size + _room_bytes
        self._lua.set_max_memory(self._limit)
        self._over = self._over or MemoryError(_NO_MEMORY)
        return False

    def _short(self, function: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
        """`function`, whose results are short, with room for them."""

        def with_room(argument: Any) -> bytes:
            self._has_room(0)
            return function(argument)

        return with_room

    def _begin(self, commands: Commands) -> None:
        """Something is about to run."""
        self._commands = commands
        self._resp = 2
        self._pending = None
        self._deadline_s = inf
        self._over = None
        self.running = True

    def _check_end(self) -> None:
        """It has run. Raises Ended when it was ended."""
        over, self._over = self._over, None  # its traceback knows of the view, and of the store
        if isinstance(over, Ended):
            raise over

    def _answering(self, function: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
        """`function` with its exception as an answer: (True, results...) or (False, message)."""

        def answering(*arguments: Any) -> tuple[Any, ...]:
            self._lua.set_max_memory(_UNLIMITED)
            try:
                answer = True, *map(self._table, function(*arguments))
                texts = sum(len(each) for each in answer[1:] if type(each) is bytes)
                return answer if self._has_room(texts) else (False, _NO_MEMORY.encode())
            except (ValueError, ArithmeticError, MemoryError, lua51.LuaError) as error:
                return False, str(error).encode()
            except Ended as ended:
                self._over = ended
                return False, b"ERR ended"
            finally:
                self._lua.set_max_memory(self._limit)

        return answering

    def _table(self, value: Any) -> Any:
        """A list or dict, at any depth, as a table."""
        breathe()
        if isinstance(value, list):
            return self._lua.table_from([self._table(item) for item in value])
        if isinstance(value, dict):
            return self._lua.table_from({key: self._table(item) for key, item in value.items()})
        return value

    # -- what scripts call -----------------------------------------------------------------------------------

    def _named(self, function: Callable[..., Any]) -> Any:
        """`function` for either name of the library, which is its first argument: see wording.py."""
        return self._lua.table_from({name: partial(function, words) for name, words in WORDINGS.items()})

    def _run_command(self, wording: Wording, *words: Any) -> Any:
        reply = self._evaluate(words)
        if type(reply) is bytes and self._has_room(len(reply)):
            return reply
        if type(reply) is Simple:
            return self._lua.table_from({b"ok": reply.text})
        if type(reply) is not Error:
            reply = self._shown(reply)
        if type(reply) is Error:
            self._pending = self._error_table(reply, wording)
            raise ScriptFailure
        return reply

    def _try_command(self, wording: Wording, *words: Any) -> Any:
        reply = self._evaluate(words)
        if type(reply) is not Error:
            reply = self._shown(reply)
        return self._error_table(reply, wording) if type(reply) is Error else reply

    def _shown(self, reply: Any) -> Any:
        """As `_to_lua`; an Error when the script is to end in the midst of it. How much it will be is seen when it is
        there."""
        if type(reply) is bytes:
            return reply if self._has_room(len(reply)) else Error(_NO_MEMORY.encode())
        self._lua.set_max_memory(_UNLIMITED)
        try:
            shown = self._to_lua(reply)
        except Ended as ended:
            self._over = ended
            shown = _OVER
        finally:
            self._lua.set_max_memory(self._limit)
        return shown if self._has_room(0) else Error(_NO_MEMORY.encode())

    def _may_run(self, *words: Any) -> bool | None:
        """Whether the script's user may run the command; None for none."""
        return self._commands.may(args) if (args := _as_words(words)) else None

    def _is_over(self) -> bool:
        """Called every so many instructions: whether the script is to end now, whatever it does."""
        if self._over is not None or not self._has_room(0):
            return True
        work = current()
        if work is None:
            if monotonic() >= self._deadline_s:
                self._over = TimeoutError(_LOAD_TIMEOUT)
            return self._over is not None
        try:
            breathe()
        except Ended as ended:
            self._over = ended
        if work.killed and self._over is None:
            self._over = InterruptedError(_KILLED % work.killed)
        return self._over is not None

    def _evaluate(self, words: tuple[Any, ...]) -> Any:
        if self._over is not None or not self._has_room(0):
            return Error(str(self._over).encode())
        args = _as_words(words)
        if not args:
            return Error(NO_WORDS if args is not None else WRONG_WORDS)
        try:
            breathe()
            return self._commands.call(args, self._resp)
        except Ended as ended:
            self._over = ended
            return _OVER

    def _take_pending(self) -> Any:
        pending, self._pending = self._pending, None
        return pending

    def _set_resp(self, version: int) -> None:
        self._resp = version

    def _error_table(self, error: Error, wording: Wording = VALKEY) -> Any:
        text = said_in(wording, error.text)
        return self._lua.table_from({b"err": text, b"ignore_error_stats_update": True})

    def _to_lua(self, value: Any) -> Any:
        """A reply as Lua has it, in the RESP version that the script has chosen."""
        kind = type(value)
        resp3 = self._resp == 3
        if kind is bytes:
            return value
        if kind is int:
            return value if -_EXACT <= value <= _EXACT else float(value)
        if value is None or value is NULL_ARRAY:
            return None if resp3 else False
        if kind is bool:
            return value if resp3 else int(value)
        if kind is Simple:
            return self._lua.table_from({b"ok": value.text})
        if kind is Error:
            return self._error_table(value)
        if kind is float:
            return self._lua.table_from({b"double": value}) if resp3 else format_double(value)
        if kind is BigNumber:
            text = b"%d" % value.value
            return self._lua.table_from({b"big_number": text}) if resp3 else text
        if kind is Attribute:
            return self._to_lua(value.value)
        if kind is Verbatim:
            if not resp3:
                return value.value
            text = self._lua.table_from({b"string": value.value, b"format": value.format})
            return self._lua.table_from({b"verbatim_string": text})
        if isinstance(value, dict):
            pairs = {self._to_lua(key): self._to_lua(item) for key, item in paced(iter(value.items()))}
            if resp3:
                return self._lua.table_from({b"map": self._lua.table_from(pairs)})
            return self._lua.table_from([each for pair in pairs.items() for each in pair])
        if isinstance(value, (set, frozenset, Members)):
            members: Iterable[Any] = value.value if isinstance(value, Members) else value
            items = [self._to_lua(item) for item in paced(iter(members))]
            if resp3:
                return self._lua.table_from({b"set": self._lua.table_from(dict.fromkeys(items, True))})
            return self._lua.table_from(items)
        return self._lua.table_from([self._to_lua(item) for item in paced(iter(value))])


_OVER = Error(b"ERR ended")
"""For a script that is to end; nobody reads it."""
_NO_MEMORY = "ERR not enough memory"
_UNLIMITED = 1 << 62
_WORD_BYTES = 64
"""Of a string in a table, beside the string itself."""
_LOAD_TIMEOUT = "ERR FUNCTION LOAD timeout"
_KILLED = "ERR Script killed by user with %s KILL."


def _no_attributes(obj: Any, name: Any, is_setting: bool) -> Any:
    raise AttributeError("scripts have no business in Python's objects")


def _as_words(given: tuple[Any, ...]) -> list[bytes] | None:
    """The words of a command, of which numbers may be some; None when there is something else."""
    words = list(given)
    for word in words:
        if type(word) is not bytes:
            break
    else:
        return words
    for at, word in enumerate(words):
        if type(word) is int:
            words[at] = b"%d" % word if abs(word) < 1 << 63 else format_double(float(word))
        elif type(word) is float:
            words[at] = b"-nan" if isnan(word) and copysign(1.0, word) < 0 else format_double(word)
        elif type(word) is not bytes:
            return None
    return words


def _two(answer: Any) -> tuple[Any, Any]:
    return answer if isinstance(answer, tuple) else (answer, None)


def _log(level: float, text: bytes) -> None:
    log.log(_LEVELS[int(level)], "%s", text.decode(errors="replace"))


_interpreters: list[Interpreter] = []


def interpreter() -> Interpreter:
    """One that runs nothing; there are as many as ever ran scripts at the same time: one, and one more for each group
    whose script takes long."""
    for one in _interpreters:
        if not one.running:
            return one
    _interpreters.append(Interpreter())
    return _interpreters[-1]
