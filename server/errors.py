"""Errors that a client sees.

A handler raises `CommandError`; its text is the reply, code word first, exactly as Redis words it. Texts that
more than one command uses stand here, so that they are spelled once. Anything else that a handler raises is a
bug of ours: the client gets `INTERNAL` and the log gets the traceback.

Three texts tell a client what became of a write when the cluster could not simply carry it out:

* `not_applied(...)`: TRYAGAIN. Certain not to have been applied; safe to send again.
* `CLUSTERDOWN`: the same certainty, when a group has had no leader for longer than the wait of the
configuration.
* `OUTCOME_UNKNOWN`: UNKNOWN. It may or may not have been applied; read before writing again. Likewise `PARTLY_APPLIED`,
of a command over several groups.
"""


class CommandError(Exception):
    """The reply of a command that failed: `text` is the whole error line without the leading dash."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text


class WouldBlock(Exception):
    """A blocking command found nothing to serve it. It is run again whenever one of its keys changes, until
    `timeout_ms` are over, which is answered by a null array. Where nothing may block (MULTI, scripts), its reply is
    `empty`."""

    def __init__(
        self,
        keys: list[bytes],
        timeout_ms: int,
        empty: object,
        *,
        retry_args: list[bytes] | None = None,
        keep_effects: bool = False,
    ) -> None:
        """`timeout_ms`: 0 for ever. `empty`: a value for resp.encode. `retry_args`: the
        request to run from now on instead of the first one (XREAD's `$` is the end of the stream when it began to
        wait). `keep_effects`: what the handler has written stays, whether the wait is allowed or not."""
        super().__init__()
        self.keys = keys
        self.timeout_ms = timeout_ms
        self.empty = empty
        self.retry_args = retry_args
        self.keep_effects = keep_effects


def wrong_arity(name: bytes) -> CommandError:
    """`name`: the command's name in lower case, `container|sub` for a subcommand."""
    return CommandError(b"ERR wrong number of arguments for '" + name + b"' command")


def not_applied(reason: bytes) -> CommandError:
    """A definite refusal: the command had no effect and will have none. `reason`: a clause saying why."""
    return CommandError(b"TRYAGAIN " + reason + b"; the command was not applied, send it again")


WRONG_TYPE = b"WRONGTYPE Operation against a key holding the wrong kind of value"
SYNTAX = b"ERR syntax error"
NOT_INTEGER = b"ERR value is not an integer or out of range"
NOT_FLOAT = b"ERR value is not a valid float"
NO_SUCH_KEY = b"ERR no such key"
OUT_OF_RANGE = b"ERR value is out of range"
INVALID_EXPIRE = b"ERR invalid expire time in '%b' command"
OVERFLOW = b"ERR increment or decrement would overflow"
STRING_TOO_LONG = b"ERR string exceeds maximum allowed size (proto-max-bulk-len)"
INVALID_DB = b"ERR DB index is out of range"
CLIENT_UNBLOCKED = b"UNBLOCKED client unblocked via CLIENT UNBLOCK"
CROSS_SLOT = b"CROSSSLOT Keys in request don't hash to the same shard group"
CLUSTERDOWN = b"CLUSTERDOWN The shard group has no leader; the command was not applied, send it again later"
OUTCOME_UNKNOWN = (
    b"UNKNOWN The shard group lost its leader before the outcome was known;"
    b" the write may or may not have been applied"
)
PARTLY_APPLIED = (
    b"UNKNOWN Not all shard groups could do their part of the command; the parts of the others were applied"
)
NO_AUTH = b"NOAUTH Authentication required."
ONLY_SUBSCRIBING = (
    b"ERR Can't execute '%b': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed "
    b"in this context"
)
INTERNAL = b"ERR internal error, the command had no effect; the server's log has the details"
NO_REPLICAS = b"NOREPLICAS Not enough good replicas to write."
OUT_OF_MEMORY = b"OOM command not allowed when used memory > 'maxmemory'."
TOO_MUCH_WRITTEN = b"ERR the command writes more than one log entry can hold; it was not applied"
REQUEST_TOO_LARGE = (
    b"ERR the request is too large to be sent to the node that leads the shard group; it was not applied"
)
REPLY_TOO_LARGE = (
    b"ERR the reply is too large to be sent by the node that leads the shard group;"
    b" what the command did stays done"
)
DISK_FULL = (
    b"MISCONF The disk of this node is nearly full, so it takes no writes; the command was not applied."
    b" Free some space."
)
