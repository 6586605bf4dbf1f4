"""What a session's user may run, where that is not everything: access/check.py decides, ACL LOG hears of it."""

from collections.abc import Iterable
from functools import partial

from server.access.caller import Caller
from server.access.check import Denial, check, check_sort
from server.access.context import Node
from server.access.rules import User
from server.commands.client_line import describe_client
from server.commands.table import Args, Command
from server.session import Session


class Permissions:
    """Of the sessions of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def refusal(self, session: Session, row: Command, args: Args) -> bytes | None:
        """Why the session's user may not run the command, as an error's text; None: the user may."""
        session.last_command = row.name
        user = session.permissions
        queued = session.queue is not None
        db = session.multi_db if queued else session.db
        denial = check(user, row, args, db)
        if denial is not None:
            self.report(session, b"multi" if queued else b"toplevel", user, denial)
            return b"NOPERM " + denial.message(user)
        return None if queued else check_sort(user, row, args, db)

    def report(self, session: Session, where: bytes, user: User, denial: Denial) -> None:
        """Note in ACL LOG that the client was refused something."""
        self._node.users.report(user, denial, where, describe_client(session))

    def caller_of(self, session: Session, rows: Iterable[Command]) -> Caller | None:
        """For whom scripts among these commands run; None when there are none, or everything is allowed."""
        if session.permissions is None or all(row.group != "scripting" for row in rows):
            return None
        return Caller(session.permissions, partial(self.report, session, b"lua"))
