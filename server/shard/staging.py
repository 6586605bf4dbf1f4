"""What a node remembers of a snapshot while it is received, so that the transfer goes on after a restart."""

import msgspec


class Staging(msgspec.Struct, array_like=True):
    """A snapshot that is being received."""

    token: bytes
    generation: int
    cursor: bytes
