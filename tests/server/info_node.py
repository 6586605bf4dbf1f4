"""A process that looks like a node from outside: it listens, answers INFO raft, and dies on request.

`python -m tests.server.info_node NAME NODE=PORT… [--die CODE] [--stubborn]`. The first node leads both groups. SIGTERM
ends it with exit code 0; a stubborn one ignores it.
"""

import signal
import socket
import sys


def info_raft(name: str, ports: dict[str, int]) -> str:
    """What the node `name` says when the cluster has the nodes `ports`; the first leads, and has one entry more."""
    names = list(ports)
    leading = name == names[0]
    last = 10 if leading else 9
    lines = [
        "# Raft",
        "raft_cluster:test",
        f"raft_node:{name}",
        f"raft_node_number:{names.index(name) + 1}",
        "raft_routing:forward",
        f"raft_nodes:{len(names)}",
        "raft_groups:2",
    ]
    for number, (node, port) in enumerate(ports.items(), start=1):
        link = "self" if node == name else "up"
        lines.append(f"node{number}:name={node},host=127.0.0.1,port={port},peer_port={port + 1},link={link}")
    for group, term, slots in ((0, 3, ""), (1, 4, "0-16383")):
        role = f"role={'leader' if leading else 'follower'},leader={names[0]},term={term}"
        log = f"first=1,last={last},commit={last},applied={last},log_bytes=2048,lag=0"
        lines.append(f"group{group}:{role},{log},slots={slots},replicas={'+'.join(names)},new=1")
    return "\r\n".join(lines) + "\r\n"


def serve(listener: socket.socket, info: str) -> None:
    """Answer each connection: +OK to AUTH right, an error to wrong, the text to INFO raft."""
    while True:
        connection, _ = listener.accept()
        with connection:
            request = connection.recv(65536)
            if b"AUTH" in request and b"right" not in request:
                connection.sendall(
                    b"-WRONGPASS invalid username-password pair or user is disabled.\r\n-NOAUTH x\r\n"
                )
                continue
            bulk = b"$%d\r\n%b\r\n" % (len(info), info.encode())
            connection.sendall(b"+OK\r\n" + bulk if b"AUTH" in request else bulk)


def main() -> None:
    """See the module."""
    arguments = sys.argv[1:]
    if "--die" in arguments:
        sys.exit(int(arguments[-1]))
    stubborn = "--stubborn" in arguments
    signal.signal(signal.SIGTERM, signal.SIG_IGN if stubborn else lambda *_: sys.exit(0))
    name, *pairs = (argument for argument in arguments if not argument.startswith("--"))
    ports = {node: int(port) for node, port in (pair.split("=") for pair in pairs)}
    listener = socket.create_server(("127.0.0.1", ports[name]))
    print(f"{name} is ready", flush=True)
    serve(listener, info_raft(name, ports))


if __name__ == "__main__":
    main()
