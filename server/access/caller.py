"""Who runs a script, for the commands that the script calls: its user's rules travel with the call.

A script runs at the leader of its keys, which may be another node than the client's. What it may do is decided there,
by the user as the client's node knew it when the call left. Nobody stands for a user who may do everything.
"""

from collections.abc import Callable
from functools import lru_cache

from server.access.check import Denial, check, check_sort
from server.access.rules import User
from server.commands.table import Args, Command


class Caller:
    """A restricted user on whose behalf a script runs."""

    __slots__ = ("_on_denied", "user")

    def __init__(self, user: User, on_denied: Callable[[User, Denial], None]) -> None:
        """`on_denied`: told of each refusal, for ACL LOG."""
        self.user = user
        self._on_denied = on_denied

    def may(self, row: Command, args: Args, db: int) -> bool:
        """Whether the user may run the command, for a script that asks."""
        return check(self.user, row, args, db) is None

    def refusal(self, row: Command, args: Args, db: int) -> bytes | None:
        """The error text for a command that the user may not run, None when it may."""
        denial = check(self.user, row, args, db)
        if denial is None:
            return check_sort(self.user, row, args, db)
        self.report(denial)
        return b"ERR ACL failure in script: " + denial.message(self.user)

    def report(self, denial: Denial) -> None:
        """The user was refused something."""
        self._on_denied(self.user, denial)


@lru_cache(maxsize=256)
def user_of(name: bytes, text: bytes) -> User:
    """The user that another node describes."""
    return User.parse(name, text)
