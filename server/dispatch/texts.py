"""EVALSHA and FCALL name a text that the group of their keys has to have: here it gets it, before the call.

A group runs what lies among its own records (scripting/script.py), so the call means the same to whoever leads it. An
FCALL is rewritten: this node looks the function up among the libraries that it knows, asks group 0 when there is no
such function here yet, and names the very text; the text goes along when the group may lack it. For an EVALSHA the
group is asked whether it has the text, and if not the others are, and the group is told.

What is known is looked up at once: in the replica that is here, or, where there is none, among what was found out
within the last `memo_s`. What is not known makes the client's connection wait, so no later command of it overtakes.

A change to the libraries is answered when the nodes that can be reached know of it (asking.py). One that could
not be reached then may for a moment call a library as it was before; one that was loaded it finds all the same.
"""

from binascii import unhexlify
from collections.abc import Callable, Collection
from typing import Any, cast

import hiredis
import trio

from resp import Raw
from server.cluster.topology import SYSTEM_GROUP
from server.commands.function_calls import NOT_FOUND, run_request
from server.commands.table import Args, Command, lookup
from server.dispatch.asking import Answer, Asker
from server.dispatch.connection import Connection
from server.dispatch.permissions import Permissions
from server.dispatch.places import Places
from server.dispatch.wandering import names_no_keys, wanders_to
from server.errors import CROSS_SLOT, CommandError
from server.scripting.functions import Functions
from server.scripting.library import Function, Library, decode_library
from server.scripting.script import LIBRARIES, SCRIPTS, parse_script, text_in
from server.shard.call import Call
from server.shard.clock import TurnClock

SCRIPT_CALLS = frozenset(("eval", "evalsha", "fcall"))
"""What runs a script that may write."""
memo_s = 1.0
"""How long what a group without a replica here was found to have is taken for granted."""
memo_max = 10_000


class Texts:
    """What this node knows of the texts of the groups."""

    def __init__(
        self,
        places: Places,
        asker: Asker,
        permissions: Permissions,
        functions: Functions,
        clock: TurnClock,
        end_turn: Callable[[], None],
    ) -> None:
        """`functions`: those that this node knows; `end_turn`: carries out what has been submitted."""
        self._places = places
        self._asker = asker
        self._permissions = permissions
        self._functions = functions
        self._clock = clock
        self._end_turn = end_turn
        self._memo: dict[tuple[int, bytes], float] = {}
        """(group, record) to the loop time until which it is known to be there."""

    def at_hand(self, row: Command, args: Args, group: int | None = None) -> tuple[Command, Args] | None:
        """What to run for the request of a row that `needs_text`; None: `fetch` has to find out. `group`: where it will
        run, if that is not for its keys to say.

        Raises CommandError."""
        if not row.name.startswith("fcall"):
            if len(self._places.data_groups) == 1:
                return row, args
            record = _script_record(args)
            group = group or self._group(row, args)
            return (row, args) if record is None or self._knows(group, record) else None
        found = self._functions.find(args[1])
        if found is not None:
            return self._call(row, args, *found, group)
        if len(self._places.nodes) == 1:
            raise CommandError(NOT_FOUND)
        return None

    def flags(self, row: Command, args: Args) -> Collection[bytes] | None:
        """What the script or function that one of SCRIPT_CALLS runs says of itself; None: it does not say, or it is not
        known here."""
        if row.name == "fcall":
            found = self._functions.find(args[1])
            return found[1].flags if found is not None else None
        text: bytes | None = args[1]
        if row.name == "evalsha":
            record = _script_record(args)
            shard = self._places.routes[next(iter(self._places.groups_of(row, args)))].shard
            known = shard.newest(record) if record is not None and shard is not None else None
            text = text_in(known) if known is not None else None
        try:
            script = parse_script(text) if text is not None else None
        except CommandError:
            return (b"no-writes",)  # it can not run
        return script.flags if script is not None and script.declared else None

    async def fetch(self, row: Command, args: Args, group: int | None = None) -> tuple[Command, Args]:
        """As `at_hand`, whatever it takes. Raises CommandError."""
        ready = self.at_hand(row, args, group)
        if ready is not None:
            return ready
        if row.name.startswith("fcall"):
            answer = await self._ask(SYSTEM_GROUP, [b"_functionfind", args[1]])
            if answer is None:
                raise CommandError(NOT_FOUND)
            library = decode_library(cast("bytes", answer))
            return self._call(row, args, library, _function(library, args[1]), group)
        await self._bring_script(group or self._group(row, args), args[1])
        return row, args

    async def run(self, connection: Connection, row: Command, args: Args, group: int | None = None) -> Raw:
        """Fetch, and run, in `group` if it is given. Raises CommandError."""
        session, asked = connection.session, (row, args)
        if row.needs_text:
            row, args = await self.fetch(row, args, group)
        answer = Answer()
        route = self._places.routes[group or self._group(row, args)]
        call = Call(row, args, session.db, session.protocol, answer)
        call.wanders = group is None and len(self._places.data_groups) > 1 and names_no_keys(row, args)
        call.caller = self._permissions.caller_of(session, (row,))
        route.submit(call)
        self._end_turn()
        reply = await answer.wait()
        slot = wanders_to(reply)
        if slot is not None:
            return await self.run(connection, *asked, self._places.group_of_slot(slot))
        return Raw(reply)

    def _group(self, row: Command, args: Args) -> int:
        groups = set(self._places.groups_of(row, args))
        if len(groups) > 1:
            raise CommandError(CROSS_SLOT)
        return groups.pop()

    def _call(
        self, row: Command, args: Args, library: Library, function: Function, group: int | None
    ) -> tuple[Command, Args]:
        """FCALL as its group understands it."""
        request = run_request(args, library, function, with_text=False)
        inner = lookup(request)
        assert inner is not None
        group = group or self._group(inner, request)
        record = LIBRARIES + library.digest
        if not self._knows(group, record):
            request = run_request(args, library, function, with_text=True)
            self._remember(group, record)
        return inner, request

    def _knows(self, group: int, record: bytes) -> bool:
        if self._memo.get((group, record), 0.0) > self._clock.now_s:
            return True
        shard = self._places.routes[group].shard
        if shard is None or shard.replica.get(record) is None:
            return False
        self._remember(group, record)
        return True

    def _remember(self, group: int, record: bytes) -> None:
        if len(self._memo) >= memo_max:
            self._memo.clear()
        self._memo[group, record] = self._clock.now_s + memo_s

    async def _bring_script(self, group: int, sha1_hex: bytes) -> None:
        """Let `group` have the script, if any group has it."""
        request = [b"_scripttexts", sha1_hex]
        (text,) = cast("list[bytes | None]", await self._ask(group, request))
        if text is None:
            texts: list[bytes] = []

            async def look(other: int) -> None:
                (found,) = cast("list[bytes | None]", await self._ask(other, request))
                if found is not None:
                    texts.append(found)

            async with trio.open_nursery() as nursery:
                for other in self._places.data_groups:
                    if other != group:
                        nursery.start_soon(look, other)
            if not texts:
                return
            await self._ask(group, [b"_scriptkeep", texts[0]])
        record = _script_record([b"", sha1_hex])
        assert record is not None
        self._remember(group, record)

    async def _ask(self, group: int, request: Args) -> Any:
        reply = await self._asker.call(group, 0, request)
        if isinstance(reply, hiredis.ReplyError):
            raise CommandError(str(reply).encode())
        return reply


def _script_record(args: Args) -> bytes | None:
    """Where the script of an EVALSHA lies; None when its name is none."""
    try:
        return SCRIPTS + unhexlify(args[1]) if len(args[1]) == 40 else None
    except ValueError:
        return None


def _function(library: Library, name: bytes) -> Function:
    return next(function for function in library.functions if function.name.lower() == name.lower())
