"""A process with clients that listen: `python -m tests.bench.subscribers PORT COUNT CHANNEL`.

When all have subscribed it prints "connected", and throws away what it hears until its standard input ends.
"""

import select
import socket
import sys

from tests.bench.servers import HOST

read_bytes = 65536


def main() -> int:
    """Subscribe and listen. Returns the exit code."""
    port, count, channel = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode()
    epoll = select.epoll()
    clients = {}
    for _ in range(count):
        client = socket.create_connection((HOST, port), timeout=30)
        client.sendall(b"*2\r\n$9\r\nSUBSCRIBE\r\n$%d\r\n%b\r\n" % (len(channel), channel))
        if not client.recv(read_bytes).endswith(b":1\r\n"):
            return 1
        client.setblocking(False)
        clients[client.fileno()] = client
        epoll.register(client.fileno(), select.EPOLLIN)
    print("connected", flush=True)
    epoll.register(sys.stdin.fileno(), select.EPOLLIN)
    while True:
        for descriptor, _ in epoll.poll():
            client = clients.get(descriptor)
            if client is None or not client.recv(read_bytes):
                return 0


if __name__ == "__main__":
    sys.exit(main())
