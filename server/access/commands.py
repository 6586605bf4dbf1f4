"""ACL: users and their permissions.

Users are changed by CLUSTER commands (`_acl…`): the leader of group 0 applies the words to the user as it is stored
there, or as the node that asks has it configured, and stores the canonical words. Each node follows (users.py).
An empty entry stands for a configured user that was deleted.
"""

import logging
import os
import secrets
from functools import partial
from pathlib import Path
from time import time
from typing import Any

import msgspec
import trio

from resp.values import OK
from server.access.check import check
from server.access.context import Context
from server.access.log import AclLogEntry
from server.access.rules import CATEGORIES, RuleError, Selector, User, has_blanks
from server.access.users import STORED, read_users, write_users
from server.cluster import state
from server.cluster.topology import SYSTEM_GROUP
from server.commands.arguments import integer
from server.commands.help import help_reply
from server.commands.table import (
    ADMIN,
    CLUSTER,
    LOADING,
    NODE,
    NOSCRIPT,
    STALE,
    Args,
    Reply,
    command,
    container,
    every_command,
    lookup,
)
from server.errors import CommandError, wrong_arity
from server.keyspace.view import View
from server.session import DEFAULT_USER

log = logging.getLogger("redraft.acl")

_OPEN = NOSCRIPT | LOADING | STALE
_ADMIN = _OPEN | ADMIN
_PER_USER = "O(N). Where N is the number of configured users."
genpass_bits_max = 4096
_log_shown = 10
_NO_FILE = (
    b"ERR This instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER "
    b"command and then issue a CONFIG REWRITE (assuming you have a configuration file set) in order to store users in "
    b"the configuration."
)
_NOT_CHANGED = b"WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
_NOT_SAVED = (
    b"ERR There was an error trying to save the ACLs. Please check the server logs for more information"
)


# -- at the leader of group 0 ----------------------------------------------------------------------------------


class Change(msgspec.Struct):
    """What ACL SETUSER asks for."""

    name: bytes
    configured: bytes | None
    """The user's words in the configuration of the node that asks."""
    all_channels: bool
    """acl-pubsub-default there."""
    words: list[bytes]


class Load(msgspec.Struct):
    """What ACL LOAD asks for."""

    users: dict[bytes, bytes]
    configured: list[bytes]


@command("_aclset", arity=2, where=CLUSTER, group="server")
def set_user(view: View, args: Args) -> Reply:
    """Applies words to a user; what is wrong with them, or null."""
    change = msgspec.msgpack.decode(args[1], type=Change)
    where = STORED + change.name
    stored = state.read(view, where)
    text = change.configured if stored is None else stored
    user = User(change.name, all_channels=change.all_channels)
    try:
        if text:
            user = User.parse(change.name, text).copy(all_channels=change.all_channels)
        user.follow(change.words)
    except RuleError as error:
        if not error.word:
            return b"ERR " + error.reason
        return b"ERR Error in ACL SETUSER modifier '%b': %b" % (error.word, error.reason)
    state.write(view, where, user.describe())
    return None


@command("_acldel", arity=-3, where=CLUSTER, group="server")
def delete_users(view: View, args: Args) -> Reply:
    """Deletes users, named from the third word on; the second has those that are configured. How many there were."""
    configured = msgspec.msgpack.decode(args[1], type=list[bytes])
    deleted = 0
    for name in dict.fromkeys(args[2:]):
        stored = state.read(view, STORED + name)
        deleted += bool(stored) if stored is not None else name in configured
        _delete(view, name, name in configured)
    return deleted


@command("_aclload", arity=2, where=CLUSTER, group="server")
def load_users(view: View, args: Args) -> Reply:
    """Lets there be these users and no others."""
    load = msgspec.msgpack.decode(args[1], type=Load)
    for name in {*state.entries(view, STORED), *load.configured} - load.users.keys():
        _delete(view, name, name in load.configured)
    for name, text in load.users.items():
        state.write(view, STORED + name, text)
    return OK


def _delete(view: View, name: bytes, configured: bool) -> None:
    if configured:
        state.write(view, STORED + name, b"")
    else:
        state.forget(view, STORED + name)


async def _ask(context: Context, *request: bytes) -> Any:
    """Change the users. The client who does so gets its reply even if it loses its own user."""
    acting = context.node.users.acting
    acting.add(context.session)
    try:
        reply = await context.node.call(SYSTEM_GROUP, 0, list(request))
    finally:
        acting.discard(context.session)
    if isinstance(reply, Exception):
        raise CommandError(str(reply).encode("utf-8", "surrogateescape"))
    return reply


async def _change_user(context: Context, name: bytes, words: list[bytes]) -> None:
    """Apply words to a user on all nodes, made when missing. Raises CommandError."""
    users = context.node.users
    configured = users.configured.get(name)
    change = Change(
        name, None if configured is None else configured.describe(), users.channels_by_default, words
    )
    problem = await _ask(context, b"_aclset", msgspec.msgpack.encode(change))
    if problem is not None:
        raise CommandError(problem)


# -- what clients ask for --------------------------------------------------------------------------------------

container("acl", since="6.0.0", group="server", summary="A container for Access List Control commands.")


@command("acl|setuser", arity=-3, flags=_ADMIN, where=NODE, since="6.0.0", group="server", complexity="O(N)")
async def acl_setuser(context: Context, args: Args) -> Reply:
    """Creates and modifies an ACL user and its rules."""
    if has_blanks(args[2]):
        raise CommandError(b"ERR Usernames can't contain spaces or null characters")
    await _change_user(context, args[2], args[3:])
    return OK


@command("acl|deluser", arity=-3, flags=_ADMIN, where=NODE, since="6.0.0", group="server", complexity="O(1)")
async def acl_deluser(context: Context, args: Args) -> Reply:
    """Deletes ACL users, and terminates their connections."""
    if DEFAULT_USER in args[2:]:
        raise CommandError(b"ERR The 'default' user cannot be removed")
    configured = [name for name in args[2:] if name in context.node.users.configured]
    return await _ask(context, b"_acldel", msgspec.msgpack.encode(configured), *args[2:])


def _describe(selector: Selector) -> dict[bytes, bytes]:
    return {
        b"commands": selector.describe_commands(),
        b"keys": selector.describe_keys(),
        b"channels": selector.describe_channels(),
        b"databases": selector.describe_databases(),
    }


@command("acl|getuser", arity=3, flags=_ADMIN, where=NODE, since="6.0.0", group="server", complexity="O(N)")
def acl_getuser(context: Context, args: Args) -> Reply:
    """Lists the ACL rules of a user."""
    user = context.node.users.get(args[2])
    if user is None:
        return None
    flags = [b"on" if user.enabled else b"off"]
    if user.no_password:
        flags.append(b"nopass")
    return {
        b"flags": set(flags) if context.session.protocol == 3 else flags,
        b"passwords": list(user.passwords),
        **_describe(user.selectors[0]),
        b"selectors": [_describe(selector) for selector in user.selectors[1:]],
    }


@command("acl|list", arity=2, flags=_ADMIN, where=NODE, since="6.0.0", group="server", complexity=_PER_USER)
def acl_list(context: Context, args: Args) -> Reply:
    """Dumps the effective rules in ACL file format."""
    return [b"user %b %b" % (user.name, user.describe()) for user in context.node.users.all()]


@command("acl|users", arity=2, flags=_ADMIN, where=NODE, since="6.0.0", group="server", complexity=_PER_USER)
def acl_users(context: Context, args: Args) -> Reply:
    """Lists all ACL users."""
    return [user.name for user in context.node.users.all()]


@command("acl|whoami", arity=2, flags=_OPEN, where=NODE, since="6.0.0", group="server")
def acl_whoami(context: Context, args: Args) -> Reply:
    """Returns the authenticated username of the current connection."""
    return context.session.user


def _too_many(name: bytes) -> CommandError:
    return CommandError(
        b"ERR unknown subcommand or wrong number of arguments for '%b'. Try ACL HELP." % name[:128]
    )


@command(
    "acl|cat",
    arity=-2,
    flags=_OPEN,
    where=NODE,
    since="6.0.0",
    group="server",
    complexity="O(1) since the categories and commands are a fixed set.",
)
def acl_cat(context: Context, args: Args) -> Reply:
    """Lists the ACL categories, or the commands inside a category."""
    if len(args) == 2:
        return list(CATEGORIES)
    if len(args) > 3:
        raise _too_many(args[1])
    category = args[2].lower()
    if category not in CATEGORIES:
        raise CommandError(b"ERR Unknown category '%b'" % args[2][:128])
    return [row.name.encode() for row in every_command() if row.open and category.decode() in row.categories]


@command("acl|genpass", arity=-2, flags=_OPEN, where=NODE, since="6.0.0", group="server")
def acl_genpass(context: Context, args: Args) -> Reply:
    """Generates a pseudorandom, secure password that can be used to identify ACL users."""
    if len(args) > 3:
        raise _too_many(args[1])
    bits = integer(args[2]) if len(args) == 3 else 256
    if not 0 < bits <= genpass_bits_max:
        raise CommandError(
            b"ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to %d"
            % genpass_bits_max
        )
    digits = (bits + 3) // 4
    return secrets.token_hex((digits + 1) // 2)[:digits].encode()


@command(
    "acl|log",
    arity=-2,
    flags=_ADMIN,
    where=NODE,
    since="6.0.0",
    group="server",
    complexity="O(N) with N being the number of entries shown.",
)
def acl_log(context: Context, args: Args) -> Reply:
    """Lists recent security events generated due to ACL rules."""
    if len(args) > 3:
        raise _too_many(args[1])
    entries = context.node.users.log.entries
    if len(args) == 2:
        return [_describe_entry(entry) for entry in entries[:_log_shown]]
    if args[2].lower() == b"reset":
        entries.clear()
        return OK
    return [_describe_entry(entry) for entry in entries[: max(integer(args[2]), 0)]]


def _describe_entry(entry: AclLogEntry) -> dict[bytes, Any]:
    age_ms = max(int(time() * 1000) - entry.updated_ms, 0)
    return {
        b"count": entry.count,
        b"reason": entry.reason,
        b"context": entry.context,
        b"object": entry.object,
        b"username": entry.username,
        b"age-seconds": age_ms / 1000,
        b"client-info": entry.client_info,
        b"entry-id": entry.id,
        b"timestamp-created": entry.created_ms,
        b"timestamp-last-updated": entry.updated_ms,
    }


@command("acl|dryrun", arity=-4, flags=_ADMIN, where=NODE, since="7.0.0", group="server")
def acl_dryrun(context: Context, args: Args) -> Reply:
    """Simulates the execution of a command by a user, without executing the command."""
    user = context.node.users.get(args[2])
    if user is None:
        raise CommandError(b"ERR User '%b' not found" % args[2])
    request = args[3:]
    row = lookup(request)
    if row is None or not row.open or (row.is_container and len(request) > 1):
        raise CommandError(b"ERR Command '%b' not found" % args[3])
    if row.is_container:
        raise wrong_arity(row.error_name)
    row.check_arity(request)
    denial = check(user, row, request, context.session.db)
    return OK if denial is None else denial.detail(user, request)


# -- the file --------------------------------------------------------------------------------------------------


def _file(context: Context) -> bytes:
    path = context.node.settings.shown("aclfile")
    if not path:
        raise CommandError(_NO_FILE)
    return path


async def _read(path: bytes) -> bytes:
    return await trio.to_thread.run_sync(Path(os.fsdecode(path)).read_bytes)


@command("acl|load", arity=2, flags=_ADMIN, where=NODE, since="6.0.0", group="server", complexity=_PER_USER)
async def acl_load(context: Context, args: Args) -> Reply:
    """Reloads the rules from the configured ACL file."""
    path, users = _file(context), context.node.users
    try:
        found = read_users(await _read(path), path, channels=users.channels_by_default)
    except OSError as error:
        reason = (error.strerror or str(error)).encode()
        raise CommandError(b"ERR Error loading ACLs, opening file '%b': %b" % (path, reason)) from None
    except ValueError as error:
        text = str(error).encode("utf-8", "surrogateescape")
        raise CommandError(b"ERR " + text + _NOT_CHANGED) from None
    found.setdefault(DEFAULT_USER, User.default(context.node.settings.requirepass))
    load = Load({name: user.describe() for name, user in found.items()}, list(users.configured))
    await _ask(context, b"_aclload", msgspec.msgpack.encode(load))
    return OK


@command("acl|save", arity=2, flags=_ADMIN, where=NODE, since="6.0.0", group="server", complexity=_PER_USER)
async def acl_save(context: Context, args: Args) -> Reply:
    """Saves the effective ACL rules in the configured ACL file."""
    path = Path(os.fsdecode(_file(context)))
    try:
        await trio.to_thread.run_sync(partial(_save, path, write_users(context.node.users.all())))
    except OSError as error:
        log.error("ACL SAVE could not write %s: %s", path, error)
        raise CommandError(_NOT_SAVED) from None
    return OK


def _save(path: Path, text: bytes) -> None:
    """Write a new file and put it in the place of the old one."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with fresh.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


@command("acl|help", arity=2, flags=LOADING | STALE, where=NODE, since="6.0.0", group="server")
def acl_help(context: Context, args: Args) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_reply(b"ACL", _HELP)


_HELP = """
CAT [<category>]
    List all commands that belong to <category>, or all command categories
    when no category is specified.
DELUSER <username> [<username> ...]
    Delete a list of users.
DRYRUN <username> <command> [<arg> ...]
    Returns whether the user can execute the given command without executing the command.
GETUSER <username>
    Get the user's details.
GENPASS [<bits>]
    Generate a secure 256-bit user password. The optional `bits` argument can
    be used to specify a different size.
LIST
    Show users details in config file format.
LOAD
    Reload users from the ACL file.
LOG [<count> | RESET]
    Show the ACL log entries.
SAVE
    Save the current config to the ACL file.
SETUSER <username> <rule> [<rule> ...]
    Create or modify a user with the specified rules.
USERS
    List all the registered usernames.
WHOAMI
    Return the current connection username.
"""
