"""README's table of command families, made from the command table and a real Valkey's COMMAND DOCS.

`python -m tests.conformance.families` writes it; a test sees that it is written. To explain what a family lacks or does
otherwise, add to NOTES.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from redis import Redis

from server.commands import all as all_commands
from server.commands.table import every_command
from server.dispatch import transactions
from tests.conformance.harness import servers

assert all_commands.loaded
assert transactions.exec_

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- families: begin -->\n", "<!-- families: end -->\n"
SHOWN_MAX = 12
"""Missing commands that a cell names."""

NOTES: dict[str, str] = {
    "cluster": "nodes, groups and slots are the config file's: what changes them at run time is not there",
    "generic": "what names several keys needs them in one shard group, except `DEL`, `EXISTS`, `UNLINK`, `TOUCH`",
    "server": "replication and persistence are Raft's: what steers Valkey's is not there",
    "string": "what writes several keys needs them in one shard group",
    "transactions": "keys of one transaction live in one shard group",
}
"""Group to what a user should know of it."""


def valkeys_groups(client: Redis) -> dict[str, list[str]]:
    """Group to the names of the commands that a Valkey has in it; subcommands by their container alone."""
    groups: dict[str, list[str]] = {}
    connection: Any = client.connection_pool.get_connection()
    try:
        connection.send_command("COMMAND", "DOCS")
        for name, doc in _pairs(connection.read_response()):
            groups.setdefault(dict(_pairs(doc))[b"group"].decode(), []).append(name.decode())
    finally:
        client.connection_pool.release(connection)
    return groups


def _pairs(flat: Any) -> Iterator[tuple[bytes, Any]]:
    """The items of a map, which is a flat list in RESP2."""
    return iter(flat.items()) if isinstance(flat, dict) else zip(flat[::2], flat[1::2], strict=True)


def table(groups: dict[str, list[str]]) -> str:
    """The table, in Markdown."""
    ours = {row.name for row in every_command() if row.open}
    lines = ["| family | commands | not there | |\n", "|---|---|---|---|\n"]
    for group, names in sorted(groups.items()):
        missing = sorted(set(names) - ours)
        shown = ", ".join(f"`{name.upper()}`" for name in missing[:SHOWN_MAX])
        if len(missing) > SHOWN_MAX:
            shown += f" and {len(missing) - SHOWN_MAX} more"
        if len(missing) == len(names):
            shown = "all of it"
        present = len(names) - len(missing)
        lines.append(f"| {group} | {present} of {len(names)} | {shown} | {NOTES.get(group, '')} |\n")
    return "".join(lines)


def with_table(readme: str, made: str) -> str:
    """README with the table in its place."""
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}{made}{END}{after}"


def main() -> None:
    """Write the table into README.md."""
    with servers.valkey() as server, Redis(servers.HOST, server.ports[0]) as client:
        made = table(valkeys_groups(client))
    README.write_text(with_table(README.read_text(), made))
    print(made)


if __name__ == "__main__":
    main()
