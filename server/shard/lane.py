"""What nodes tell each other of forwarded calls: one connection to each node, opened by the one that asks.

All requests of a turn to one node are one frame (lane "forward" of raft.runtime.links), all replies likewise. A reply
carries either the encoded RESP reply or a refusal with the leader as the refusing node knows it.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from raft.runtime.frames import UNDECODABLE, FrameError, Payload
from raft.runtime.link import Link

LANE = "forward"
buffer_bytes_max = 64 << 20
"""Bytes waiting for one node; calls wait in their route above it."""
frame_bytes_max = 1 << 30
"""Of one frame; a larger call, or reply, is refused."""


class Request(msgspec.Struct, array_like=True):
    """One call on its way to the leader."""

    id: int
    group: int
    epoch: int
    db: int
    protocol: int
    args: list[bytes]
    commands: list[tuple[list[bytes], int]] | None = None
    """Of a transaction: (args, db) each."""
    watched: list[tuple[int, bytes, int]] = []
    cancel: bool | None = None
    """Not a call: the one with this id need not wait any longer; whether it is answered with an error."""
    user: tuple[bytes, bytes] | None = None
    """Name and rules of the user for whom a script runs."""
    asker: int = 0
    """Who wants a receipt, in the log, of a write; 0: nobody."""
    term: int = 0
    """The only term in which it may be done then."""
    waited_ms: int = 0
    """How long a blocking call has waited already, at other leaders."""
    origin: bytes = b""
    """See Call."""
    wanders: bool = False
    """See Call."""
    notes: tuple[bool, bool] | None = None
    """Whether the client wants to know of a script if it has read anything, and the node what it has called."""


class Response(msgspec.Struct, array_like=True):
    """Its answer."""

    id: int
    reply: bytes | None
    """None: refused."""
    leader: int = 0
    """With the id 0: nobody's answer, but the number of a group that is at work on a long command."""
    index: int = 0
    """Of a CLUSTER command: what the node that asked has to have applied to know as much."""
    denied: list[tuple[int, int, bytes]] | None = None
    """What a script was refused (access.check.Denial), for the log of the client's node."""
    args: list[bytes] | None = None
    """Of a refusal: the call has waited for a key, and this is what to ask elsewhere."""
    elapsed_us: list[int] | None = None
    """How long the command took, or each of a transaction's."""
    untouched: bool = False
    """The script has read nothing."""
    shown: list[tuple[int, bytes]] | None = None
    """See ScriptNotes."""
    waits: bool = False
    """No answer yet: the call waits for a key. `args` as with a refusal."""


_Message = TypeVar("_Message", Request, Response)
_encode = msgspec.msgpack.Encoder().encode
_decode_requests = msgspec.msgpack.Decoder(list[Request]).decode
_decode_responses = msgspec.msgpack.Decoder(list[Response]).decode


def requests_in(link: Link, payload: Payload) -> list[Request]:
    """What the node at the other end of `link` asks with a frame. Raises FrameError."""
    return _decoded(_decode_requests, link, payload)


def responses_in(link: Link, payload: Payload) -> list[Response]:
    """What it answers. Raises FrameError."""
    return _decoded(_decode_responses, link, payload)


def _decoded(decode: Callable[[Payload], list[_Message]], link: Link, payload: Payload) -> list[_Message]:
    try:
        return decode(payload)
    except UNDECODABLE as error:
        raise FrameError(f"node {link.peer} sent a frame that is no list of calls: {error}") from None


def send_some(
    link: Link, messages: list[_Message], instead: Callable[[_Message], Sequence[_Message]]
) -> list[_Message]:
    """Send what the link takes, nearly always all in one frame. What has to wait for a later turn. `instead`: what to
    send in the place of a message that is too large to be a frame."""
    while messages and link.buffered_bytes <= buffer_bytes_max:
        count = len(messages)
        payload = _encode(messages)
        while len(payload) > frame_bytes_max and count > 1:
            count //= 2
            payload = _encode(messages[:count])
        if len(payload) > frame_bytes_max:
            smaller = instead(messages[0])
            payload = _encode(smaller) if smaller else b""
        if payload and not link.send(payload):
            link.close()  # on_close tells the calls
            return []
        messages = messages[count:]
    return messages
