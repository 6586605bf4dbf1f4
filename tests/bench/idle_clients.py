"""A process with connections that do nothing: `python -m tests.bench.idle_clients PORT COUNT`.

Each sends one PING and reads the reply. Then it prints "connected" and stays until its standard input ends.
"""

import socket
import sys

from tests.bench.servers import HOST


def main() -> int:
    """Connect and wait. Returns the exit code."""
    port, count = int(sys.argv[1]), int(sys.argv[2])
    connections = []
    for _ in range(count):
        connection = socket.create_connection((HOST, port), timeout=30)
        connection.sendall(b"*1\r\n$4\r\nPING\r\n")
        if connection.recv(64) != b"+PONG\r\n":
            return 1
        connections.append(connection)
    print("connected", flush=True)
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
