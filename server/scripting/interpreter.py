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
from collections.abc import Callable
from hashlib import sha1
from math import inf
from pathlib import Path
from random import getrandbits
from time import monotonic
from typing import Any, Final

import lupa.lua51 as lua51

from resp import format_double
from resp.values import Error, Raw, Simple
from server.errors import CommandError
from server.keyspace.breath import Ended, breathe, current
from server.scripting.libraries import LIBRARIES
from server.scripting.library import FLAGS, Function, is_name, parse_library
from server.scripting.memory import Memory
from server.scripting.script import Script, parse_script
from server.scripting.values import Values, as_words
from server.scripting.wording import (
    NO_WORDS,
    UNKNOWN,
    WORDINGS,
    WRONG_NAME,
    WRONG_WORDS,
    Wording,
    said_in,
)
from server.version import REDIS_VERSION, SERVER_NAME

log = logging.getLogger("redraft.script")

compiled_max = 500
"""Compiled scripts that are kept, the last used; and so many libraries."""
words_max: Final = 100
"""Keys and arguments that go to a script as they are; more go in a table."""
load_time_max_s = 0.4
"""What the text of a library may take to register its functions while a client waits for just that."""
_LEVELS = (logging.DEBUG, logging.DEBUG, logging.INFO, logging.WARNING)


class ScriptFailure(Exception):
    """Carries an error through Lua; the error itself is `pending` then."""


class Commands:
    """What a script calls. As they are here there are none: while no script runs, and while a library is loaded."""

    __slots__ = ("protocol",)

    def __init__(self, protocol: int = 2) -> None:
        self.protocol = protocol
        """RESP version in which the script's answer is encoded."""

    def call(self, args: list[bytes], protocol: int) -> Any:
        """The reply to a command, of which `args` are the words, in RESP `protocol`: a value of resp.values. May raise
        Ended."""
        return Error(UNKNOWN)

    def may(self, args: list[bytes]) -> bool | None:
        """Whether the script's user may run it; None: there is no such command."""
        return None


_NOTHING: Final = Commands()


class Compiled:
    """A script that is ready to run."""

    __slots__ = ("digest", "function", "script", "text")

    def __init__(self, digest: bytes, text: bytes, script: Script, function: Any) -> None:
        self.digest = digest
        """Sha1 of its text."""
        self.text = text
        self.script = script
        self.function = function


class Registered:
    """A function of a library that is ready to run."""

    __slots__ = ("callback", "function")

    def __init__(self, function: Function, callback: Any) -> None:
        self.function = function
        self.callback = callback


class Interpreter:
    """A Lua state. Runs one script at a time; a script can not start another."""

    def __init__(self) -> None:
        self._lua: Any = lua51.LuaRuntime(
            encoding=None,
            register_eval=False,
            unpack_returned_tuples=True,
            attribute_filter=_no_attributes,
            max_memory=0,  # none yet, but there may be one
        )
        self._memory = Memory(self._lua, self._fell_short, self._let_go)
        self._values = Values(self._lua)
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
        self.running = False
        """A script runs, or breathes."""
        self._over: BaseException | None = None
        """Why the script is being ended."""
        libraries = {
            name: self._lua.table_from({key: self._answering(f) for key, f in functions.items()})
            for name, functions in LIBRARIES.items()
        }
        major, minor, patch = map(int, REDIS_VERSION.split("."))
        host = self._lua.table_from(
            {
                b"call": self._lua.table_from({name: self._call(words) for name, words in WORDINGS.items()}),
                b"pcall": self._lua.table_from(
                    {name: self._pcall(words) for name, words in WORDINGS.items()}
                ),
                b"pending": self._take_pending,
                b"over": self._is_over,
                b"reason": self._reason,
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
        sandbox: Any = chunk("sandbox.lua")(
            host,
            *[chunk(name)() for name in ("api.lua", "registering.lua", "cjson.lua", "reply.lua")],
            seeded,
        )
        self._compile_text: Any = sandbox[b"compile"]
        self._run_words: Any = sandbox[b"run"]
        self._run_table: Any = sandbox[b"run_many"]
        self._load_text: Any = sandbox[b"load"]
        self._collect_some: Any = sandbox[b"collect"]

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
        self._memory.make_room(len(text))
        try:
            function, problem = _two(self._compile_text(script.body))
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
        size = _WORD_BYTES * len(words)
        for word in words:
            size += len(word)
        self._memory.make_room(size)
        self._begin(commands)
        protocol = commands.protocol
        try:
            if len(words) <= words_max:
                said = self._run_words(is_function, function, protocol, count, *words)
            else:
                table = self._lua.table_from(words)
                said = self._run_table(is_function, function, protocol, count, table)
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
        self._memory.make_room(len(text))
        self._begin(_NOTHING)
        self._deadline_s = monotonic() + load_time_max_s
        try:
            done, registered = self._load_text(body)
        except (lua51.LuaError, ScriptFailure) as error:
            done, registered = False, b"Error compiling function: " + str(error).encode(errors="replace")
        finally:
            self.running = False
        self._memory.has_room(0)
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

    def _let_go(self) -> None:
        """Earlier scripts have left much in the state: collect it bit by bit, and let go what is only kept."""
        self._collect()
        if self._memory.is_crowded:
            self._compiled.clear()
            self._by_text.clear()
            self._loaded.clear()
            self._collect()

    def _collect(self) -> None:
        self.running = True  # nobody else is to use it while this breathes
        try:
            for _ in range(2):  # the first round may have begun long ago
                while not self._collect_some():
                    breathe()
        finally:
            self.running = False

    def _fell_short(self) -> None:
        """There is no room for what is to be given to Lua: the script is to end."""
        self._over = self._over or MemoryError(_NO_MEMORY)

    def _short(self, function: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
        """`function`, whose results are short, with room for them."""

        def with_room(argument: Any) -> bytes:
            self._memory.has_room(0)
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
            self._memory.lift_limit()
            try:
                answer = True, *map(self._values.of_data, function(*arguments))
                texts = sum(len(each) for each in answer[1:] if type(each) is bytes)
                return answer if self._memory.has_room(texts) else (False, _NO_MEMORY.encode())
            except (ValueError, ArithmeticError, MemoryError, lua51.LuaError) as error:
                return False, str(error).encode()
            except Ended as ended:
                self._over = ended
                return False, b"ERR ended"
            finally:
                self._memory.restore_limit()

        return answering

    # -- what scripts call -----------------------------------------------------------------------------------

    def _call(self, wording: Wording) -> Callable[..., Any]:
        """`call` for one of the two names of the library, see wording.py."""

        def call(*words: Any) -> Any:
            reply = self._evaluate(words)
            if type(reply) is bytes and self._memory.has_room(len(reply)):
                return reply
            if type(reply) is Simple:
                return self._lua.table_from({b"ok": reply.text})
            if type(reply) is not Error:
                reply = self._shown(reply)
            if type(reply) is Error:
                self._pending = self._values.of_error(reply, wording)
                raise ScriptFailure
            return reply

        return call

    def _pcall(self, wording: Wording) -> Callable[..., Any]:
        """`pcall`, likewise."""

        def pcall(*words: Any) -> Any:
            reply = self._evaluate(words)
            if type(reply) is not Error:
                reply = self._shown(reply)
            return self._values.of_error(reply, wording) if type(reply) is Error else reply

        return pcall

    def _shown(self, reply: Any) -> Any:
        """As Lua has it; an Error when the script is to end in the midst of it. How much it will be is seen when it is
        there."""
        if type(reply) is bytes:
            return reply if self._memory.has_room(len(reply)) else Error(_NO_MEMORY.encode())
        self._memory.lift_limit()
        try:
            shown = self._values.of_reply(reply, self._resp == 3)
        except Ended as ended:
            self._over = ended
            shown = _OVER
        finally:
            self._memory.restore_limit()
        return shown if self._memory.has_room(0) else Error(_NO_MEMORY.encode())

    def _may_run(self, *words: Any) -> bool | None:
        """Whether the script's user may run the command; None for none."""
        return self._commands.may(args) if (args := as_words(words)) else None

    def _is_over(self) -> bool:
        """Called every so many instructions: whether the script is to end now, whatever it does."""
        if self._over is not None or not self._memory.has_room(0):
            return True
        work = current()
        if work is None:
            is_late = monotonic() >= self._deadline_s
            if is_late:
                self._over = TimeoutError(_LOAD_TIMEOUT)
            return is_late
        try:
            breathe()
        except Ended as ended:
            self._over = ended
            return True
        if work.killed:
            self._over = InterruptedError(_KILLED % work.killed)
            return True
        return False

    def _reason(self) -> bytes:
        """Why the script is being ended, for itself."""
        return str(self._over).encode()

    def _evaluate(self, words: tuple[Any, ...]) -> Any:
        if self._over is not None or not self._memory.has_room(0):
            return Error(self._reason())
        args = as_words(words)
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


_OVER: Final = Error(b"ERR ended")
"""For a script that is to end; nobody reads it."""
_NO_MEMORY = "ERR not enough memory"
_WORD_BYTES: Final = 64
"""Of a string in a table, beside the string itself."""
_LOAD_TIMEOUT = "ERR FUNCTION LOAD timeout"
_KILLED = "ERR Script killed by user with %s KILL."


def _no_attributes(obj: Any, name: Any, is_setting: bool) -> Any:
    raise AttributeError("scripts have no business in Python's objects")


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
