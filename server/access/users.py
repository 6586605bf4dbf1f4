"""The users of a node: those that its configuration names, under what ACL SETUSER has made of them since.

Configured are the default user (with `clients.requirepass`) and the users of `[acl]`: lines of the configuration, or
of a file in the format of ACL LIST. What is changed at run time is kept by group 0 (cluster/state.py) under
`acl:NAME`, as the canonical words of rules.py; an empty entry says that a configured user was deleted. So a user made
on one node is there on all, and after a restart; where both speak of a user, what was changed last, the entry, holds.

A session has `permissions`: its user, or None when that may do everything. With permissions it carries
Guard.RESTRICTED, so that each of its commands is looked at; one without pays nothing. When a user changes, the
sessions are brought in step here: those of a deleted one are closed, and subscribers who may not listen any more.
"""

import logging
from collections.abc import Callable, Mapping
from hmac import compare_digest

from server.access.check import Denial, Reason
from server.access.log import AclLog
from server.access.rules import RuleError, User, has_blanks, hash_password, merge_selectors
from server.parameters.settings import Settings
from server.pubsub.hub import PATTERN
from server.session import DEFAULT_USER, Guard, Session

log = logging.getLogger("redraft.access")

_COUNTERS = {
    Reason.COMMAND: "cmd",
    Reason.KEY: "key",
    Reason.CHANNEL: "channel",
    Reason.DATABASE: "db",
}
STORED = b"acl:"
"""What a user's name has in front of it in the cluster's state."""


class Users:
    """All users, by name, and the sessions that act for them."""

    def __init__(
        self,
        settings: Settings,
        sessions: Mapping[int, Session],
        configured: Mapping[bytes, User],
        on_open: Callable[[bool], None] = lambda is_open: None,
    ) -> None:
        """`sessions`: of the node, by id; `configured`: the default user among them; `on_open`: told whether new
        connections need no password."""
        self.configured = dict(configured)
        self.log = AclLog(settings)
        self.denied = dict.fromkeys(("auth", "cmd", "key", "channel", "tls_cert", "db"), 0)
        """How often what was refused, for INFO."""
        self.acting: set[Session] = set()
        """Sessions that are changing users: when they delete themselves they get the reply before they are closed."""
        self._settings = settings
        self._sessions = sessions
        self._users = dict(configured)
        self._on_open = on_open
        on_open(self.is_open)

    def get(self, name: bytes) -> User | None:
        """The user of that name."""
        return self._users.get(name)

    def all(self) -> list[User]:
        """Every user, by name."""
        return [self._users[name] for name in sorted(self._users)]

    @property
    def default(self) -> User:
        """Who every connection begins as."""
        return self._users[DEFAULT_USER]

    @property
    def is_open(self) -> bool:
        """A new connection is authenticated as the default user without a word."""
        return self.default.enabled and self.default.no_password

    @property
    def channels_by_default(self) -> bool:
        """acl-pubsub-default: new users may use every channel."""
        return bool(self._settings.value("acl-pubsub-default") == b"allchannels")

    @property
    def no_password(self) -> bool:
        """The default user has none."""
        return self.default.no_password

    def report_login(self, name: bytes, context: bytes, command_name: bytes, client_info: bytes) -> None:
        """Note that somebody could not log in as user `name`; the others as for `report`."""
        self.denied["auth"] += 1
        self.log.add(b"auth", context, command_name, name, client_info)

    def report(self, user: User, denial: Denial, context: bytes, client_info: bytes) -> None:
        """Note a refusal. `context`: toplevel, multi or lua; `client_info`: as in CLIENT LIST."""
        self.denied[_COUNTERS[denial.reason]] += 1
        self.log.add(denial.reason.name.lower().encode(), context, denial.object, user.name, client_info)

    # -- sessions --------------------------------------------------------------------------------------------

    def admit(self, session: Session) -> None:
        """A session begins, or begins anew (RESET)."""
        self._act_as(session, self.default)
        session.authenticated = self.is_open

    def log_in(self, session: Session, name: bytes, password: bytes) -> bool:
        """Let the session act as a user, if that one is enabled and the password is right; whether it is so."""
        user = self._users.get(name)
        if user is None or not user.enabled:
            return False
        if not user.no_password:
            given = hash_password(password)
            # Every password is compared, each in constant time.
            if not sum(compare_digest(given, known) for known in user.passwords):
                return False
        self._act_as(session, user)
        session.authenticated = True
        return True

    def _act_as(self, session: Session, user: User) -> None:
        session.user = user.name
        session.permissions = None if user.unrestricted else user
        session.guard(Guard.RESTRICTED, not user.unrestricted)

    # -- changes ---------------------------------------------------------------------------------------------

    def stored(self, name: bytes, text: bytes | None) -> None:
        """The cluster's entry of a user has changed; a watcher of cluster/state.py."""
        if text is None:
            user = self.configured.get(name)
        elif not text:
            user = None
        else:
            try:
                user = User.parse(name, text)
            except RuleError as error:
                log.error("The rules of user %r make no sense here and allow nothing: %s", name, error)
                user = User(name)
        if user is None and name == DEFAULT_USER:
            user = User.default()
        self._replace(name, user)

    def _replace(self, name: bytes, user: User | None) -> None:
        if user is None:
            self._users.pop(name, None)
        else:
            self._users[name] = user
        for session in [one for one in self._sessions.values() if one.user == name]:
            if user is None or not _may_listen(user, session):
                session.outlet.close(after_reply=session in self.acting)
            else:
                self._act_as(session, user)
                if session.permissions is not None and session.blocked is not None:
                    session.blocked.check()
        if name == DEFAULT_USER:
            self._on_open(self.is_open)


def _may_listen(user: User, session: Session) -> bool:
    """Whether the session's subscriptions are all allowed."""
    subscriptions = session.subscriptions
    return subscriptions is None or all(
        any(selector.allows_channel(name, kind == PATTERN) for selector in user.selectors)
        for kind, names in enumerate(subscriptions)
        for name in names
    )


def read_users(text: bytes, source: bytes, *, channels: bool) -> dict[bytes, User]:
    """The users of a file, a line each: user NAME RULE…

    Raises ValueError with all that is wrong, in Redis's words; `source` is what they call the file.
    """
    users: dict[bytes, User] = {}
    problems = b""
    for number, line in enumerate(text.split(b"\n"), 1):
        words = line.strip(b" \t\r\n").split(b" ")
        if words == [b""]:
            continue
        where = b"%b:%d" % (source, number)
        if words[0] != b"user" or len(words) < 2:
            problems += where + b" should start with user keyword followed by the username. "
        elif has_blanks(words[1]):
            problems += b"'%b: username '%b' contains invalid characters. " % (where, words[1])
        elif words[1] in users:
            problems += b"WARNING: Duplicate user '%b' found on line %d. " % (words[1], number)
        else:
            users[words[1]] = user = User(words[1], all_channels=channels)
            problems += _follow_line(user, words[2:], where)
    if problems:
        raise ValueError(problems.decode("utf-8", "surrogateescape"))
    return users


def _follow_line(user: User, words: list[bytes], where: bytes) -> bytes:
    """Apply a line's rules. What is wrong with them: every unknown command, and the first of other mistakes."""
    problems = b""
    broken = False
    try:
        merged = merge_selectors(words)
    except RuleError:
        return where + b": Unmatched parenthesis in selector definition."
    for word in merged:
        try:
            user.apply(word.strip(b"\t\r\n"))
        except RuleError as error:
            if error.is_unknown:
                problems += b"%b: Error in applying operation '%b': %b. " % (where, error.word, error.reason)
            elif not broken:
                broken = True
                problems += b"%b: %b. " % (where, error.reason)
    return problems


def write_users(users: list[User]) -> bytes:
    """The lines that `read_users` reads."""
    return b"".join(b"user %b %b\n" % (user.name, user.describe()) for user in users)
