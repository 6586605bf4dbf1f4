"""A user's rules: read from the words of ACL SETUSER, written in their canonical form.

A user has flags, passwords (as SHA-256), and selectors; the first selector, the root, is what stands outside of
parentheses. A command is allowed if one selector allows all of it. A selector keeps its command rules as words, in
the order in which they were given, without those that a later one makes void; what they allow is worked out of the
command table when it is first asked for. So the words are the state: `describe` gives text that `User.parse` reads
back to an equal user, and that text is what is stored, sent to other nodes and shown by ACL LIST.

To add a word: `Selector.apply` when it may stand in parentheses too, else `User.apply`; and the part of `describe`
that shows it. https://valkey.io/topics/acl/
"""

import re
from collections.abc import Iterable
from functools import cached_property, lru_cache
from hashlib import sha256

from resp.inline import split_inline
from server.commands.table import COMMANDS, Command, every_command
from server.errors import CommandError
from server.session import DEFAULT_USER
from server.types.glob import Matcher, compile_glob

READ, WRITE = 1, 2
"""What a key pattern permits."""
CATEGORIES = (
    b"keyspace read write set sortedset list hash string bitmap hyperloglog geo stream pubsub admin fast slow blocking "
    b"dangerous connection transaction scripting"
).split()
"""In the order of ACL CAT."""
db_max = 2**31 - 1

_SYNTAX = b"Syntax error"
_UNKNOWN = b"Unknown command or category name in ACL"
_AFTER_ALL_KEYS = (
    b"Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. "
    b"Try 'resetkeys' to start with an empty list of patterns"
)
_AFTER_ALL_CHANNELS = (
    b"Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. "
    b"Try 'resetchannels' to start with an empty list of channels"
)
_NO_SUCH_PASSWORD = b"The password you are trying to remove from the user does not exist"
_BAD_HASH = (
    b"The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
)
_FIRST_ARGUMENT = b"Allowing first-arg of a subcommand is not supported"
_BAD_DB = b"The provided database ID is out of range"
_NUMBER = re.compile(rb"\s*[+-]?\d+")
_HEX = frozenset(b"0123456789abcdef")


class RuleError(Exception):
    """A word that makes no sense. `word`: that one; `reason`: Redis's text."""

    def __init__(self, word: bytes, reason: bytes) -> None:
        super().__init__(word, reason)
        self.word = word
        self.reason = reason

    @property
    def is_unknown(self) -> bool:
        """It names a command or a category that there is not."""
        return self.reason == _UNKNOWN


def has_blanks(text: bytes) -> bool:
    """Whether `text` has white space or a NUL: then it can not stand in a list of words."""
    return any(byte in b" \t\n\v\f\r\0" for byte in text)


def hash_password(password: bytes) -> bytes:
    """A password as it is kept."""
    return sha256(password).hexdigest().encode()


@lru_cache(maxsize=4096)
def matcher(pattern: bytes) -> Matcher:
    """compile_glob, remembered: the same patterns are asked for again and again."""
    return compile_glob(pattern)


@lru_cache(maxsize=1)
def _by_category() -> dict[bytes, frozenset[str]]:
    return {
        category: frozenset(row.name for row in every_command() if category.decode() in row.categories)
        for category in CATEGORIES
    }


def find_command(name: bytes) -> Command | None:
    """The command, or `container|sub`, that a rule names; None for no such."""
    parent, _, sub = name.lower().partition(b"|")
    row = COMMANDS.get(parent)
    if row is not None and sub:
        row = row.subcommands.get(sub)
    return row if row is not None and row.open else None


def _names(row: Command) -> set[str]:
    return {row.name, *(sub.name for sub in row.subcommands.values())}


class Selector:
    """One set of permissions. Not changed any more once it is asked what it allows: `copy` it first."""

    def __init__(self, *, all_channels: bool = False) -> None:
        self.all_commands = False
        """The command rules begin with +@all: commands to come are allowed too."""
        self.command_rules: list[tuple[bool, bytes]] = []
        """(allow, command or @category), in the order given."""
        self.all_keys = False
        self.keys: dict[bytes, int] = {}
        """Pattern to READ | WRITE."""
        self.all_channels = all_channels
        self.channels: dict[bytes, None] = {}
        self.databases: frozenset[int] | None = None
        """None: all."""

    def copy(self) -> "Selector":
        """An equal one."""
        other = Selector(all_channels=self.all_channels)
        other.all_commands, other.command_rules = self.all_commands, list(self.command_rules)
        other.all_keys, other.keys = self.all_keys, dict(self.keys)
        other.channels, other.databases = dict(self.channels), self.databases
        return other

    @property
    def unrestricted(self) -> bool:
        """It allows everything."""
        return (
            self.all_commands
            and self.all_keys
            and self.all_channels
            and self.databases is None
            and all(allow for allow, _ in self.command_rules)
        )

    # -- reading words ---------------------------------------------------------------------------------------

    def apply(self, word: bytes) -> None:
        """Follow one word. Raises RuleError."""
        low = word.lower()
        if low in (b"allkeys", b"~*"):
            self.all_keys, self.keys = True, {}
        elif low == b"resetkeys":
            self.all_keys, self.keys = False, {}
        elif low in (b"allchannels", b"&*"):
            self.all_channels, self.channels = True, {}
        elif low == b"resetchannels":
            self.all_channels, self.channels = False, {}
        elif low in (b"allcommands", b"+@all"):
            self.all_commands, self.command_rules = True, []
        elif low in (b"nocommands", b"-@all"):
            self.all_commands, self.command_rules = False, []
        elif low == b"alldbs":
            self.databases = None
        elif low == b"resetdbs":
            self.databases = frozenset()
        elif low.startswith(b"db="):
            self.databases = _read_databases(word)
        elif word[:1] in (b"~", b"%"):
            self._add_key_pattern(word)
        elif word[:1] == b"&":
            if self.all_channels:
                raise RuleError(word, _AFTER_ALL_CHANNELS)
            _check_pattern(word, word[1:])
            self.channels[word[1:]] = None
        elif word[:1] in (b"+", b"-"):
            self._add_command_rule(word)
        else:
            raise RuleError(word, _SYNTAX)

    def _add_key_pattern(self, word: bytes) -> None:
        if self.all_keys:
            raise RuleError(word, _AFTER_ALL_KEYS)
        permits, pattern = READ | WRITE, word[1:]
        if word[:1] == b"%":
            letters, _, pattern = word[1:].partition(b"~")
            given = letters.upper()
            if given not in (b"R", b"W", b"RW", b"WR"):
                raise RuleError(word, _SYNTAX)
            permits = (READ if b"R" in given else 0) | (WRITE if b"W" in given else 0)
        _check_pattern(word, pattern)
        self.keys[pattern] = self.keys.get(pattern, 0) | permits

    def _add_command_rule(self, word: bytes) -> None:
        allow, name = word[:1] == b"+", word[1:].lower()
        if name[:1] == b"@":
            if name[1:] not in CATEGORIES:
                raise RuleError(word, _UNKNOWN)
        elif find_command(name) is None or name[-1:] == b"|":
            parent, bar, argument = name.rpartition(b"|")
            row = find_command(parent) if bar and allow else None
            if row is None:
                raise RuleError(word, _UNKNOWN)
            if "|" in row.name:
                raise RuleError(word, _FIRST_ARGUMENT)
            if not argument:
                raise RuleError(word, _SYNTAX)
            if row.subcommands:
                raise RuleError(word, _UNKNOWN)
        self.command_rules = [
            rule for rule in self.command_rules if rule[1] != name and not rule[1].startswith(name + b"|")
        ]
        self.command_rules.append((allow, name))

    # -- writing them ----------------------------------------------------------------------------------------

    def describe_commands(self) -> bytes:
        """The command rules."""
        words = [b"+@all" if self.all_commands else b"-@all"]
        return b" ".join(words + [(b"+" if allow else b"-") + name for allow, name in self.command_rules])

    def describe_keys(self) -> bytes:
        """The key patterns."""
        if self.all_keys:
            return b"~*"
        prefixes = {READ: b"%R~", WRITE: b"%W~", READ | WRITE: b"~"}
        return b" ".join(prefixes[permits] + pattern for pattern, permits in self.keys.items())

    def describe_channels(self) -> bytes:
        """The channel patterns."""
        return b"&*" if self.all_channels else b" ".join(b"&" + pattern for pattern in self.channels)

    def describe_databases(self) -> bytes:
        """The databases."""
        if self.databases is None:
            return b"alldbs"
        return b"db=" + b",".join(b"%d" % db for db in sorted(self.databases)) if self.databases else b""

    def describe(self) -> bytes:
        """All of it, as words that make it."""
        channels = b"&*" if self.all_channels else (b"resetchannels " + self.describe_channels()).rstrip(b" ")
        databases = b"" if self.databases is None else self.describe_databases() or b"resetdbs"
        words = (self.describe_keys(), channels, databases, self.describe_commands())
        return b" ".join(filter(None, words))

    # -- what they allow -------------------------------------------------------------------------------------

    @cached_property
    def _allowed(self) -> tuple[frozenset[str], dict[str, frozenset[bytes]]]:
        """Full names of commands, and first arguments with which others are allowed."""
        allowed = {row.name for row in every_command()} if self.all_commands else set()
        arguments: dict[str, set[bytes]] = {}
        for allow, name in self.command_rules:
            row = find_command(name)
            if name[:1] == b"@":
                names: Iterable[str] = _by_category()[name[1:]]
                names = {one for listed in names for one in _names(_row(listed))}
            elif row is not None:
                names = _names(row)
            else:
                parent, _, argument = name.partition(b"|")
                arguments.setdefault(parent.decode(), set()).add(argument)
                continue
            allowed = allowed | set(names) if allow else allowed - set(names)
            for one in names:
                arguments.pop(one, None)
        return frozenset(allowed), {name: frozenset(found) for name, found in arguments.items()}

    def allows_command(self, row: Command, args: list[bytes]) -> bool:
        """Whether the command may be run at all."""
        allowed, arguments = self._allowed
        if row.name in allowed:
            return True
        return row.name in arguments and len(args) > 1 and args[1].lower() in arguments[row.name]

    def allows_key(self, key: bytes, needs: int) -> bool:
        """Whether READ | WRITE (0: neither) of `key` is permitted."""
        return self.all_keys or any(
            permits & needs == needs and matcher(pattern)(key) for pattern, permits in self.keys.items()
        )

    @property
    def reads_all_keys(self) -> bool:
        """Every key may be read."""
        return self.all_keys or bool(self.keys.get(b"*", 0) & READ)

    def allows_channel(self, channel: bytes, is_pattern: bool) -> bool:
        """Whether a channel may be used; a pattern to subscribe to must be permitted literally."""
        if self.all_channels or (is_pattern and channel in self.channels):
            return True
        return not is_pattern and any(matcher(pattern)(channel) for pattern in self.channels)

    def allows_database(self, db: int) -> bool:
        """Whether a database may be used."""
        return self.databases is None or db in self.databases


def _row(name: str) -> Command:
    return find_command(name.encode()) or COMMANDS[name.encode()]


def _check_pattern(word: bytes, pattern: bytes) -> None:
    if has_blanks(pattern):
        raise RuleError(word, _SYNTAX)
    try:
        matcher(pattern)
    except CommandError:
        raise RuleError(word, _SYNTAX) from None


def _read_databases(word: bytes) -> frozenset[int]:
    found = set()
    for number in word[3:].split(b","):
        if not _NUMBER.fullmatch(number):
            raise RuleError(word, _SYNTAX)
        db = int(number)
        if not 0 <= db <= db_max:
            raise RuleError(word, _BAD_DB)
        found.add(db)
    return frozenset(found)


class User:
    """One user. Like its selectors not changed any more once it is in use."""

    def __init__(self, name: bytes, *, all_channels: bool = False) -> None:
        """`all_channels`: acl-pubsub-default says so."""
        self.name = name
        self.enabled = False
        self.no_password = False
        self.passwords: dict[bytes, None] = {}
        """SHA-256 as hexadecimal digits."""
        self.selectors = [Selector(all_channels=all_channels)]
        """The root first."""
        self._all_channels = all_channels

    @classmethod
    def parse(cls, name: bytes, text: bytes) -> "User":
        """The user that `describe` has described. Raises RuleError."""
        user = cls(name)
        user.follow(text.split(b" "))
        return user

    @classmethod
    def default(cls, password: bytes = b"") -> "User":
        """The default user as it is when nobody has said anything else. `password`: empty for none."""
        user = cls(DEFAULT_USER)
        user.follow([b"on", b"~*", b"&*", b"+@all", b">" + password if password else b"nopass"])
        return user

    def copy(self, *, all_channels: bool = False) -> "User":
        """An equal one; `all_channels` as in the constructor, for what is to be applied to it."""
        other = User(self.name, all_channels=all_channels)
        other.enabled, other.no_password = self.enabled, self.no_password
        other.passwords = dict(self.passwords)
        other.selectors = [selector.copy() for selector in self.selectors]
        return other

    def follow(self, words: Iterable[bytes]) -> None:
        """Apply words one after the other. Raises RuleError; then some have been applied."""
        for word in merge_selectors(words):
            self.apply(word)

    def apply(self, word: bytes) -> None:
        """Follow one word. Raises RuleError."""
        low = word.lower()
        if not word or low in (b"sanitize-payload", b"skip-sanitize-payload"):
            return
        if low in (b"on", b"off"):
            self.enabled = low == b"on"
        elif low == b"nopass":
            self.no_password, self.passwords = True, {}
        elif low == b"resetpass":
            self.no_password, self.passwords = False, {}
        elif word[:1] in (b">", b"#"):
            self.passwords[_read_password(word)] = None
            self.no_password = False
        elif word[:1] in (b"<", b"!"):
            password = _read_password(word)
            if password not in self.passwords:
                raise RuleError(word, _NO_SUCH_PASSWORD)
            del self.passwords[password]
        elif word[:1] == b"(" and word[-1:] == b")":
            self.selectors.append(self._read_selector(word))
        elif low == b"clearselectors":
            del self.selectors[1:]
        elif low == b"reset":
            fresh = User(self.name, all_channels=self._all_channels)
            self.enabled, self.no_password, self.passwords = False, False, {}
            self.selectors = fresh.selectors
        else:
            self.selectors[0].apply(word)

    def _read_selector(self, word: bytes) -> Selector:
        selector = Selector(all_channels=self._all_channels)
        try:
            inner_words = split_inline(word[1:-1])
        except ValueError:
            inner_words = []
        for inner in inner_words:
            try:
                selector.apply(inner)
            except RuleError as error:
                raise RuleError(word, error.reason) from None
        return selector

    def describe(self) -> bytes:
        """The canonical words that make this user of a new one."""
        words = [b"on" if self.enabled else b"off"]
        if self.no_password:
            words.append(b"nopass")
        words += [b"#" + password for password in self.passwords]
        words.append(self.selectors[0].describe())
        words += [b"(" + selector.describe() + b")" for selector in self.selectors[1:]]
        return b" ".join(words)

    @cached_property
    def unrestricted(self) -> bool:
        """Everything is allowed."""
        return any(selector.unrestricted for selector in self.selectors)


def _read_password(word: bytes) -> bytes:
    """The hash in one of >password <password #hash !hash."""
    if word[:1] in (b">", b"<"):
        return hash_password(word[1:])
    if len(word) != 65 or not _HEX.issuperset(word[1:]):
        raise RuleError(word, _BAD_HASH)
    return word[1:]


def merge_selectors(words: Iterable[bytes]) -> list[bytes]:
    """The words, with those from one that opens a parenthesis to the one that closes it made one.

    Raises RuleError, whose word is empty and whose reason is the whole text, when one stays open.
    """
    merged: list[bytes] = []
    opened: list[bytes] = []
    for word in words:
        if opened:
            opened.append(word)
            if word.endswith(b")"):
                merged.append(b" ".join(opened))
                opened = []
        elif word.startswith(b"(") and not word.endswith(b")"):
            opened = [word]
        else:
            merged.append(word)
    if opened:
        raise RuleError(b"", b"Unmatched parenthesis in acl selector starting at '" + opened[0] + b"'.")
    return merged
