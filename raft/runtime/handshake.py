"""What two nodes tell and prove to each other before the first frame of a lane.

    dialer                                     acceptor
    preface (magic, version)        ->
    Hello                           ->
                                    <-         preface
                                    <-         Hello, or Refusal
    Proof(mac)                      ->
                                    <-         Proof(mac), or Refusal

A mac is HMAC-SHA256 of both Hellos (each with a fresh nonce) and the prover's part in the talk, under the cluster's
secret; without a secret it is empty, and both sides must agree on that. Who holds the secret may speak; the frames
after the handshake are checksummed, not signed.

The functions here are sans-I/O: links.py moves the bytes. To change the protocol incompatibly, raise VERSION; to add
a field to Hello, give it a default and append it.
"""

import hashlib
import hmac
import secrets
import struct
from collections.abc import Callable, Mapping

import msgspec

from raft.runtime.frames import UNDECODABLE, Payload

MAGIC = b"RDFT"
VERSION = 1
_PREFACE = struct.Struct(">4sHH")
PREFACE = _PREFACE.pack(MAGIC, VERSION, 0)
HELLO_BYTES_MAX = 4096
_NONCE_BYTES = 16


class Refused(Exception):
    """One side will not talk to the other. The text is a whole clause that names the cause."""


class Hello(msgspec.Struct, frozen=True, array_like=True, tag="hello"):
    """Who speaks, from which data directory, about what."""

    cluster: str
    node_id: int
    node_name: str
    incarnation: bytes
    lane: str
    nonce: bytes
    process: bytes = b""
    """Random: what tells two that run on copies of one directory apart."""


class Proof(msgspec.Struct, frozen=True, array_like=True, tag="proof"):
    """The speaker holds the secret (or none is asked for)."""

    mac: bytes


class Refusal(msgspec.Struct, frozen=True, array_like=True, tag="refusal"):
    """The speaker closes the connection, and why."""

    reason: str


_encoder = msgspec.msgpack.Encoder()
_decoder: "msgspec.msgpack.Decoder[Hello | Proof | Refusal]" = msgspec.msgpack.Decoder(
    Hello | Proof | Refusal
)


def check_preface(data: bytes) -> None:
    """Raises Refused when these eight bytes do not open our protocol in our version."""
    magic, version, _reserved = _PREFACE.unpack(data)
    if magic != MAGIC:
        raise Refused(f"it does not speak the peer protocol (it began with {data!r})")
    if version != VERSION:
        raise Refused(f"it speaks version {version} of the peer protocol, this node version {VERSION}")


class Handshake:
    """One side's part of one handshake."""

    def __init__(
        self,
        *,
        cluster: str,
        node_id: int,
        node_name: str,
        incarnation: bytes,
        process: bytes,
        secret: str | None,
        members: Mapping[int, str],
        check_peer: Callable[[Hello], str | None],
    ) -> None:
        """`members`: name by id of every other node; check_peer(its Hello) gives a reason to refuse, or None."""
        self._cluster = cluster
        self._node_id = node_id
        self._node_name = node_name
        self._incarnation = incarnation
        self._process = process
        self._key = None if secret is None else secret.encode()
        self._members = members
        self._check_peer = check_peer
        self._hellos: dict[str, bytes] = {}
        self.peer: Hello | None = None
        """What the other side said of itself; believed only after check_proof and check_identity."""

    def hello(self, part: str, lane: str) -> bytes:
        """Our Hello; `part` is "dialer" or "acceptor"."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        hello = Hello(
            self._cluster, self._node_id, self._node_name, self._incarnation, lane, nonce, self._process
        )
        self._hellos[part] = _encoder.encode(hello)
        return self._hellos[part]

    def read_hello(self, part: str, payload: Payload) -> Hello:
        """The other side's Hello; `part` is theirs. Raises Refused: not a Hello, or another cluster."""
        hello = _decode(payload)
        if not isinstance(hello, Hello):
            raise Refused("it did not introduce itself")
        if hello.cluster != self._cluster:
            raise Refused(f"it belongs to cluster {hello.cluster!r}, this node to {self._cluster!r}")
        self._hellos[part] = bytes(payload)
        self.peer = hello
        return hello

    def proof(self, part: str) -> bytes:
        """Our Proof, once both Hellos are known."""
        return _encoder.encode(Proof(self._mac(part)))

    def read_proof(self, part: str, payload: Payload) -> None:
        """Check the other side's Proof. Raises Refused."""
        proof = _decode(payload)
        if not isinstance(proof, Proof):
            raise Refused("it did not prove who it is")
        if self._key is None and proof.mac:
            raise Refused("it has a cluster secret and this node has none: configure the same on both")
        if self._key is not None and not proof.mac:
            raise Refused("it has no cluster secret and this node has one: configure the same on both")
        if not hmac.compare_digest(proof.mac, self._mac(part)):
            raise Refused("its cluster secret is not the one of this node")

    def check_identity(self, expected_id: int | None) -> None:
        """Is it a member, and the one that it should be? Call after read_proof. Raises Refused."""
        hello = self.peer
        assert hello is not None
        said = f"node {hello.node_id} ({hello.node_name!r})"
        if hello.node_id == self._node_id:
            raise Refused(
                f"it calls itself {said}, which is this node's own id: two nodes run with the same identity"
            )
        if hello.node_id not in self._members:
            raise Refused(f"{said} is not in this node's configuration")
        name = self._members[hello.node_id]
        if name != hello.node_name:
            raise Refused(f"it calls itself {said}, but this node's configuration calls that id {name!r}")
        if expected_id is not None and hello.node_id != expected_id:
            raise Refused(
                f"{said} answers at the address of node {expected_id} ({self._members[expected_id]!r})"
            )
        reason = self._check_peer(hello)
        if reason is not None:
            raise Refused(reason)

    def _mac(self, part: str) -> bytes:
        if self._key is None:
            return b""
        talk = b"".join(
            len(hello).to_bytes(4, "big") + hello
            for hello in (part.encode(), self._hellos["dialer"], self._hellos["acceptor"])
        )
        return hmac.digest(self._key, talk, hashlib.sha256)


def refusal(reason: str) -> bytes:
    """The Refusal frame's payload."""
    return _encoder.encode(Refusal(reason))


def _decode(payload: Payload) -> Hello | Proof | Refusal:
    try:
        found = _decoder.decode(payload)
    except UNDECODABLE as error:
        raise Refused(f"its handshake can not be understood: {error}") from error
    if isinstance(found, Refusal):
        raise Refused(f"it refused: {found.reason}")
    return found
