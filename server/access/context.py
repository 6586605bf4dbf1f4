"""What the ACL commands and dispatch/ may use: as commands/context.py, with all that users are."""

from typing import Protocol

from server.access.users import Users
from server.commands import context


class Node(context.Node, Protocol):
    """The services of a node."""

    users: Users


class Context(context.Context):
    """One ACL command's surroundings."""

    node: Node
