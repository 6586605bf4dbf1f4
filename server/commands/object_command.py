"""OBJECT and MEMORY: how a value is held."""

from server.commands.arguments import integer
from server.commands.context import Context
from server.commands.help import help_reply
from server.commands.table import LOADING, NODE, READONLY, STALE, Args, Keys, Reply, command, container
from server.errors import SYNTAX, CommandError
from server.keyspace.layout import Head
from server.keyspace.limits import counts_uses
from server.keyspace.view import View
from server.types.keys import encoding_name
from server.types.memory import memory_bytes

_SAMPLES = 5
"""As in Redis, when it is not told."""
_KEY = Keys(2, 2, access="RO")
_LFU = (
    b"ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between "
    b"policies at runtime LRU and LFU data will take some time to adjust."
)
_NO_LFU = (
    b"ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when "
    b"switching between policies at runtime LRU and LFU data will take some time to adjust."
)

container("object", since="2.2.3", group="generic", summary="A container for object introspection commands")
container("memory", since="4.0.0", group="server", summary="A container for memory diagnostics commands")


_OBJECT_HELP = """
ENCODING <key>
    Return the kind of internal representation used in order to store the value
    associated with a <key>.
FREQ <key>
    Return the access frequency index of the <key>. The returned integer is
    proportional to the logarithm of the recent access frequency of the key.
IDLETIME <key>
    Return the idle time of the <key>, that is the approximated number of
    seconds elapsed since the last access to the key.
REFCOUNT <key>
    Return the number of references of the value associated with the specified
    <key>.
"""
_MEMORY_HELP = """
DOCTOR
    Return memory problems reports.
MALLOC-STATS
    Return internal statistics report from the memory allocator.
PURGE
    Attempt to purge dirty pages for reclamation by the allocator.
STATS
    Return information about the memory usage of the server.
USAGE <key> [SAMPLES <count>]
    Return memory in bytes used by <key> and its value. Nested values are
    sampled up to <count> times (default: 5, 0 means sample all).
"""


def _head(view: View, args: Args) -> Head | None:
    return view.head(args[2], quiet=True)


@command("object|encoding", arity=3, flags=READONLY, keys=_KEY, since="2.2.3", group="generic")
def object_encoding(view: View, args: Args) -> Reply:
    """Returns the internal encoding of an object."""
    head = _head(view, args)
    return None if head is None else encoding_name(args[2], head)


@command("object|freq", arity=3, flags=READONLY, keys=_KEY, since="4.0.0", group="generic")
def object_freq(view: View, args: Args) -> Reply:
    """Returns the logarithmic access frequency counter of an object."""
    if not view.exists(args[2]):
        return None
    if not counts_uses(view.limits):
        raise CommandError(_NO_LFU)
    return view.use_count(args[2])


@command("object|idletime", arity=3, flags=READONLY, keys=_KEY, since="2.2.3", group="generic")
def object_idletime(view: View, args: Args) -> Reply:
    """Returns the time since the last access to an object."""
    if not view.exists(args[2]):
        return None
    if counts_uses(view.limits):
        raise CommandError(_LFU)
    return view.idle_ms(args[2]) // 1000


@command("object|refcount", arity=3, flags=READONLY, keys=_KEY, since="2.2.3", group="generic")
def object_refcount(view: View, args: Args) -> Reply:
    """Returns the reference count of a value of a key."""
    return 1 if view.exists(args[2]) else None


@command("object|help", arity=2, flags=LOADING | STALE, where=NODE, since="6.2.0", group="generic")
def object_help(context: Context, args: Args) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_reply(b"OBJECT", _OBJECT_HELP)


@command(
    "memory|usage",
    arity=-3,
    flags=READONLY,
    keys=_KEY,
    since="4.0.0",
    group="server",
    complexity="O(N) where N is the number of samples.",
)
def memory_usage(view: View, args: Args) -> Reply:
    """Estimates the memory usage of a key."""
    samples = _SAMPLES
    options = iter(args[3:])
    for option in options:
        text = next(options, None)
        if option.lower() != b"samples" or text is None or (samples := integer(text)) < 0:
            raise CommandError(SYNTAX)
    head = _head(view, args)
    return None if head is None else memory_bytes(view, args[2], head, samples)


@command("memory|help", arity=2, flags=LOADING | STALE, where=NODE, since="4.0.0", group="server")
def memory_help(context: Context, args: Args) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_reply(b"MEMORY", _MEMORY_HELP)
