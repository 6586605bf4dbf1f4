"""COMMAND: the table about itself. Internal commands, whose names begin with an underscore, do not show."""

from collections.abc import Iterator
from typing import Any

from resp.values import Members, Simple
from server.commands.context import Context
from server.commands.help import help_reply
from server.commands.history import REPLACED, SYSTEM, history_of
from server.commands.key_access import key_access, key_flags
from server.commands.summaries import summary_of
from server.commands.syntax import Argument, arguments_of
from server.commands.table import (
    COMMANDS,
    LOADING,
    NODE,
    STALE,
    Args,
    Command,
    Flag,
    Reply,
    command,
)
from server.commands.tips import tips_of
from server.errors import SYNTAX, CommandError
from server.types.glob import compile_glob

_FLAGS = LOADING | STALE
_ARGUMENT_FIELDS = (b"name", b"type", b"display_text", b"key_spec_index", b"token", b"flags", b"arguments")
_ARGUMENT_FLAGS = (b"optional", b"multiple", b"multiple_token")
_PER_COMMAND = "O(N) where N is the number of commands to look up"
_PER_ARGUMENT = "O(N) where N is the number of arguments to the command"


def open_commands() -> Iterator[Command]:
    """Every command that clients may know of, once, without subcommands."""
    seen: set[str] = set()
    for row in COMMANDS.values():
        if row.open and row.name not in seen:
            seen.add(row.name)
            yield row


def find_command(name: bytes) -> Command | None:
    """The command or `container|subcommand` of that name, case aside; None for no such, and for internal ones."""
    parent, _, sub = name.lower().partition(b"|")
    row = COMMANDS.get(parent)
    if row is not None and sub:
        row = row.subcommands.get(sub)
    return row if row is not None and row.open else None


def _flags(row: Command, position: int) -> list[bytes]:
    return [word.encode() for word in key_flags(row, position)]


def key_specs(row: Command) -> list[dict[bytes, Any]]:
    """The key specifications of COMMAND INFO. Keys that move, uncounted,
    are given by COMMAND GETKEYS alone: their specification
    says that it is not known where they begin."""

    def spec(flags: list[bytes], begin: dict[bytes, Any], find: dict[bytes, Any]) -> dict[bytes, Any]:
        return {
            b"flags": Members([Simple(flag) for flag in flags]),
            b"begin_search": begin,
            b"find_keys": find,
        }

    def at(index: int) -> dict[bytes, Any]:
        return {b"type": b"index", b"spec": {b"index": index}}

    def span(last: int, step: int) -> dict[bytes, Any]:
        return {b"type": b"range", b"spec": {b"lastkey": last, b"keystep": step, b"limit": 0}}

    keys = row.keys
    unknown: dict[bytes, Any] = {b"type": b"unknown", b"spec": {}}
    specs: list[dict[bytes, Any]] = []
    if keys.first:
        if "," in keys.access:
            count = len(keys.access.split(","))
            specs = [
                spec(
                    _flags(row, number),
                    at(keys.first + number * keys.step),
                    span(keys.last if keys.last < 0 and number == count - 1 else 0, 1),
                )
                for number in range(count)
            ]
        else:
            last = keys.last - keys.first if keys.last > 0 else keys.last
            specs = [spec(_flags(row, 0), at(keys.first), span(last, keys.step))]
    if keys.anywhere:
        specs += [spec(access.encode().split(), unknown, unknown) for access in keys.anywhere]
    elif keys.count_at:
        counted = {
            b"type": b"keynum",
            b"spec": {b"keynumidx": 0, b"firstkey": 1, b"keystep": 1},
        }
        specs = specs[: len(keys.access.split(",")) - 1]
        specs.append(spec(_flags(row, len(specs)), at(keys.count_at), counted))
    elif keys.keyword is not None:
        word, start = keys.keyword
        begin = {b"type": b"keyword", b"spec": {b"keyword": word.encode(), b"startfrom": start}}
        find = span(-1, 1)
        find[b"spec"][b"limit"] = 2
        specs.append(spec(_flags(row, 0), begin, find))
    elif keys.find is not None and not keys.first:
        specs.append(spec([*_flags(row, 0), b"incomplete"], unknown, unknown))
    return specs


def flag_names(row: Command) -> list[bytes]:
    """The flags as COMMAND INFO names them."""
    return [flag.name.lower().encode() for flag in Flag if row.flags & flag and flag.name is not None]


def describe_command(row: Command) -> list[Any]:
    """The entry of COMMAND INFO."""
    return [
        row.error_name,
        row.arity,
        {Simple(name) for name in flag_names(row)},
        row.keys.first,
        row.keys.last,
        row.keys.step if row.keys.first else 0,
        {Simple(b"@" + category.encode()) for category in row.categories},
        tips_of(row),
        key_specs(row),
        [describe_command(sub) for sub in row.subcommands.values() if sub.open],
    ]


def _argument(fields: Argument) -> Argument:
    shown = {name: fields[name] for name in _ARGUMENT_FIELDS if name in fields}
    if b"flags" in fields:
        shown[b"flags"] = Members([Simple(flag) for flag in _ARGUMENT_FLAGS if flag in fields[b"flags"]])
    if b"arguments" in fields:
        shown[b"arguments"] = [_argument(each) for each in fields[b"arguments"]]
    return shown


def _document(row: Command) -> dict[bytes, Any]:
    fields: dict[bytes, Any] = {
        b"summary": (row.summary or summary_of(row.handler)).encode() + b".",
        b"since": row.since.encode(),
        b"group": row.group.encode(),
    }
    if row.complexity:
        fields[b"complexity"] = row.complexity.encode()
    if row.name in SYSTEM:
        fields[b"doc_flags"] = Members([Simple(b"syscmd")])
    if row.name in REPLACED:
        fields[b"doc_flags"] = Members([Simple(b"deprecated")])
        fields[b"deprecated_since"], fields[b"replaced_by"] = REPLACED[row.name]
    history = history_of(row.name)
    if history:
        fields[b"history"] = Members(history)
    arguments = arguments_of(row.name)
    if arguments is not None:
        fields[b"arguments"] = [_argument(each) for each in arguments]
    if row.subcommands:
        fields[b"subcommands"] = {
            sub.error_name: _document(sub) for sub in row.subcommands.values() if sub.open
        }
    return fields


@command(
    "command",
    arity=-1,
    flags=_FLAGS,
    where=NODE,
    since="2.8.13",
    group="server",
    categories="connection",
    complexity="O(N) where N is the total number of commands",
)
def command_(context: Context, args: Args) -> Reply:
    """Returns detailed information about all commands."""
    if len(args) > 1:
        raise CommandError(b"ERR unknown subcommand '%b'. Try COMMAND HELP." % args[1][:128])
    return [describe_command(row) for row in open_commands()]


@command(
    "command|count",
    arity=2,
    flags=_FLAGS,
    where=NODE,
    since="2.8.13",
    group="server",
    categories="connection",
)
def command_count(context: Context, args: Args) -> Reply:
    """Returns a count of commands."""
    return sum(1 for _ in open_commands())


@command(
    "command|info",
    arity=-2,
    flags=_FLAGS,
    where=NODE,
    since="2.8.13",
    group="server",
    categories="connection",
    complexity=_PER_COMMAND,
)
def command_info(context: Context, args: Args) -> Reply:
    """Returns information about one, multiple or all commands."""
    if len(args) == 2:
        return [describe_command(row) for row in open_commands()]
    found = [find_command(name) for name in args[2:]]
    return [None if row is None else describe_command(row) for row in found]


@command(
    "command|docs",
    arity=-2,
    flags=_FLAGS,
    where=NODE,
    since="7.0.0",
    group="server",
    categories="connection",
    complexity=_PER_COMMAND,
)
def command_docs(context: Context, args: Args) -> Reply:
    """Returns documentary information about one, multiple or all commands."""
    rows = list(open_commands()) if len(args) == 2 else [find_command(name) for name in args[2:]]
    return {row.error_name: _document(row) for row in rows if row is not None}


@command(
    "command|list",
    arity=-2,
    flags=_FLAGS,
    where=NODE,
    since="7.0.0",
    group="server",
    categories="connection",
    complexity="O(N) where N is the total number of commands",
)
def command_list(context: Context, args: Args) -> Reply:
    """Returns a list of command names."""
    rows = [one for row in open_commands() for one in (row, *row.subcommands.values())]
    if len(args) == 2:
        return [row.error_name for row in rows]
    if len(args) != 5 or args[2].lower() != b"filterby":
        raise CommandError(SYNTAX)
    kind, wanted = args[3].lower(), args[4]
    if kind == b"aclcat":
        category = wanted.lower().decode("latin-1")
        return [row.error_name for row in rows if category in row.categories]
    if kind == b"pattern":
        matches = compile_glob(wanted.lower())
        return [row.error_name for row in rows if matches(row.error_name)]
    if kind == b"module":
        return []
    raise CommandError(SYNTAX)


_FLAG_ORDER = [
    "RO",
    "RW",
    "OW",
    "RM",
    "access",
    "insert",
    "update",
    "delete",
    "not_key",
    "incomplete",
    "variable_flags",
]


def _keys_of(request: Args) -> list[tuple[bytes, frozenset[str]]]:
    """The keys of a request and their flags; raises CommandError with Valkey's texts."""
    row = COMMANDS.get(request[0].lower())
    if row is not None and row.subcommands and len(request) > 1:
        row = row.subcommands.get(request[1].lower(), None if row.is_container else row)
    if row is None or not row.open:
        raise CommandError(b"ERR Invalid command specified")
    if not row.keys.first and row.keys.find is None:
        raise CommandError(b"ERR The command has no key arguments")
    count = len(request)
    if (row.arity > 0 and count != row.arity) or count < -row.arity:
        raise CommandError(b"ERR Invalid number of arguments specified for command")
    try:
        list(row.keys.indexes(request))
    except CommandError:
        if row.flags & Flag.NO_MANDATORY_KEYS:
            return []
        raise CommandError(b"ERR Invalid arguments specified for command") from None
    return [(request[index], flags) for index, flags in key_access(row, request)]


@command(
    "command|getkeys",
    arity=-3,
    flags=_FLAGS,
    where=NODE,
    since="2.8.13",
    group="server",
    categories="connection",
    complexity=_PER_ARGUMENT,
)
def command_getkeys(context: Context, args: Args) -> Reply:
    """Extracts the key names from an arbitrary command."""
    return [key for key, _ in _keys_of(args[2:])]


@command(
    "command|getkeysandflags",
    arity=-3,
    flags=_FLAGS,
    where=NODE,
    since="7.0.0",
    group="server",
    categories="connection",
    complexity=_PER_ARGUMENT,
)
def command_getkeysandflags(context: Context, args: Args) -> Reply:
    """Extracts the key names and access flags for an arbitrary command."""
    return [
        [key, Members([Simple(flag.encode()) for flag in sorted(flags, key=_FLAG_ORDER.index)])]
        for key, flags in _keys_of(args[2:])
    ]


@command(
    "command|help", arity=2, flags=_FLAGS, where=NODE, since="5.0.0", group="server", categories="connection"
)
def command_help(context: Context, args: Args) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_reply(b"COMMAND", _HELP)


_HELP = """
(no subcommand)
    Return details about all commands.
COUNT
    Return the total number of commands in this server.
LIST
    Return a list of all commands in this server.
INFO [<command-name> ...]
    Return details about multiple commands.
    If no command names are given, documentation details for all
    commands are returned.
DOCS [<command-name> ...]
    Return documentation details about multiple commands.
    If no command names are given, documentation details for all
    commands are returned.
GETKEYS <full-command>
    Return the keys from a full command.
GETKEYSANDFLAGS <full-command>
    Return the keys and the access flags from a full command.
"""
