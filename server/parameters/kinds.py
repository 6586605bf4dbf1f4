"""Kinds of runtime parameters: what values each has, how they are read and shown, Redis's reasons for refusing.

A kind is anything with `parse` and `show` (see Kind). `Text` takes one of the checks at the end of the file.
"""

import locale
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any, Protocol

from server.commands.arguments import parse_int64

INT_MIN, INT_MAX = -(2**31), 2**31 - 1
UINT_MAX = 2**32 - 1
LONG_MAX = 2**63 - 1

_UNITS = {
    b"": 1,
    b"b": 1,
    b"k": 1000,
    b"kb": 1024,
    b"m": 1000**2,
    b"mb": 1024**2,
    b"g": 1000**3,
    b"gb": 1024**3,
}
_SIZE = re.compile(rb"(\d{0,20})([a-z]*)", re.IGNORECASE)


def parse_size_bytes(text: bytes) -> int | None:
    """`text` as Redis reads memory sizes: digits and an optional unit (k = 1000, kb = 1024, …; nothing at all is 0), or
    None."""
    match = _SIZE.fullmatch(text)
    if match is None or match[2].lower() not in _UNITS or (text and not match[1]):
        return None
    value = int(match[1] or 0) * _UNITS[match[2].lower()]
    return value if value < 2**64 else None


class Kind(Protocol):
    """What values a parameter has, and how they are written."""

    def parse(self, text: bytes, current: Any) -> Any:
        """The value that `text` means, `current` being the value so far (some kinds change only a part of it).
        Raises ValueError with Redis's reason."""

    def show(self, value: Any) -> bytes:
        """The value as CONFIG GET reports it."""


class YesNo:
    """A switch."""

    def parse(self, text: bytes, current: Any) -> bool:
        """See Kind."""
        word = text.lower()
        if word not in (b"yes", b"no"):
            raise ValueError("argument must be 'yes' or 'no'")
        return word == b"yes"

    def show(self, value: Any) -> bytes:
        """See Kind."""
        return b"yes" if value else b"no"


@dataclass(frozen=True, slots=True)
class Number:
    """An integer in [low, high]; kept within `clamp` without a word where Redis does so."""

    low: int
    high: int
    clamp: tuple[int, int] | None = None

    def parse(self, text: bytes, current: Any) -> int:
        """See Kind."""
        value = parse_int64(text)
        if value is None:
            raise ValueError("argument couldn't be parsed into an integer")
        if not self.low <= value <= self.high:
            raise ValueError(f"argument must be between {self.low} and {self.high} inclusive")
        if self.clamp is not None:
            value = min(max(value, self.clamp[0]), self.clamp[1])
        return value

    def show(self, value: Any) -> bytes:
        """See Kind."""
        return b"%d" % value


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes in [low, high]; where `percent` is set also a share of the memory limit, kept as a negative number."""

    low: int = 0
    """Below 0: negative numbers may be given, without a unit."""
    high: int = LONG_MAX
    percent: bool = False
    at_least: int = 0
    """What is less becomes this without a word."""

    def parse(self, text: bytes, current: Any) -> int:
        """See Kind."""
        if self.percent and text.endswith(b"%"):
            share = parse_int64(text[:-1])
            if share is not None and share >= 0:
                if share > 100:
                    raise ValueError("percentage argument must be less or equal to 100")
                return -share
        value = parse_size_bytes(text)
        if value is None and self.low < 0:
            value = parse_int64(text)
        if value is None:
            raise ValueError(f"argument must be a memory {'or percent ' if self.percent else ''}value")
        if not self.low <= value <= self.high:
            raise ValueError(f"argument must be between {self.low} and {self.high} inclusive")
        return max(value, self.at_least) if self.at_least else value

    def show(self, value: Any) -> bytes:
        """See Kind."""
        return b"%d%%" % -value if self.percent and value < 0 else b"%d" % value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several words; with `several` a set of them, of which the first word stands for none."""

    words: tuple[bytes, ...]
    several: bool = False
    clash: tuple[frozenset[bytes], str] = (frozenset(), "")
    """Words that exclude each other, and what to say."""

    def parse(self, text: bytes, current: Any) -> bytes:
        """See Kind."""
        spelled = {word.lower(): word for word in self.words}
        given = text.lower().split(b" ") if self.several else [text.lower()]
        if any(word not in spelled for word in given):
            options = ", ".join(word.decode() for word in self.words)
            raise ValueError(f"argument(s) must be one of the following: {options}")
        if self.clash[0] and self.clash[0] <= set(given):
            raise ValueError(self.clash[1])
        if not self.several:
            return spelled[given[0]]
        return b" ".join(word for word in self.words[1:] if word.lower() in given) or self.words[0]

    def show(self, value: Any) -> bytes:
        """See Kind."""
        return bytes(value)


@dataclass(frozen=True, slots=True)
class Text:
    """Any bytes that `check` lets through; it raises ValueError with the reason."""

    check: Callable[[bytes], None] | None = None

    def parse(self, text: bytes, current: Any) -> bytes:
        """See Kind."""
        if self.check is not None:
            self.check(text)
        return text

    def show(self, value: Any) -> bytes:
        """See Kind."""
        return bytes(value)


class SavePoints:
    """`save`: pairs of seconds and changes."""

    def parse(self, text: bytes, current: Any) -> bytes:
        """See Kind."""
        words = text.split(b" ") if text else []
        numbers = [parse_int64(word) for word in words]
        if len(words) % 2 or any(value is None for value in numbers):
            raise ValueError("Invalid save parameters")
        for at, value in enumerate(numbers):
            assert value is not None
            if value < (0 if at % 2 else 1):
                raise ValueError("Invalid save parameters")
        return b" ".join(words)

    def show(self, value: Any) -> bytes:
        """See Kind."""
        return bytes(value)


_CLIENT_CLASSES = {b"normal": "normal", b"slave": "replica", b"replica": "replica", b"pubsub": "pubsub"}


class OutputLimits:
    """`client-output-buffer-limit`: class -> (hard bytes, soft bytes, soft seconds). Classes not named keep theirs."""

    def parse(self, text: bytes, current: Any) -> dict[str, tuple[int, int, int]]:
        """See Kind."""
        words = text.split(b" ") if text else []
        if len(words) % 4:
            raise ValueError("Wrong number of arguments in buffer limit configuration.")
        limits = dict(current or {})
        for at in range(0, len(words), 4):
            client_class = _CLIENT_CLASSES.get(words[at].lower())
            if client_class is None:
                raise ValueError("Invalid client class specified in buffer limit configuration.")
            hard, soft, seconds = (
                parse_size_bytes(words[at + 1]),
                parse_size_bytes(words[at + 2]),
                words[at + 3],
            )
            if hard is None or soft is None or not seconds.isdigit():
                raise ValueError("Error in hard, soft or soft_seconds setting in buffer limit configuration.")
            limits[client_class] = (hard, soft, int(seconds))
        return limits

    def show(self, value: Any) -> bytes:
        """See Kind."""
        names = {"normal": b"normal", "replica": b"slave", "pubsub": b"pubsub"}
        return b" ".join(b"%b %d %d %d" % (shown, *value[name]) for name, shown in names.items())


class Percentiles:
    """`latency-tracking-info-percentiles`: numbers from 0 to 100."""

    def parse(self, text: bytes, current: Any) -> tuple[float, ...]:
        """See Kind."""
        found = []
        for word in text.split(b" ") if text else ():
            if not re.fullmatch(rb"[+-]?(\d+\.?\d*|\.\d+)", word):
                raise ValueError("Invalid latency-tracking-info-percentiles parameters")
            if not 0.0 <= float(word) <= 100.0:
                raise ValueError(
                    "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
                )
            found.append(float(word))
        return tuple(found)

    def show(self, value: Any) -> bytes:
        """See Kind."""
        return " ".join(f"{percent:f}".rstrip("0").rstrip(".") for percent in value).encode()


class EventClasses:
    """`notify-keyspace-events`: letters, kept in Redis's order, A standing for all that it includes. Behind an A the n,
    which it does not include, counts but is not shown."""

    _ALL = b"g$lszhxetd"
    _ORDER = b"g$lshzxetdn"

    def parse(self, text: bytes, current: Any) -> bytes:
        """See Kind."""
        letters = set(text)
        if letters - set(self._ALL + b"nAKEm"):
            raise ValueError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
        if letters >= set(self._ALL):
            letters.add(ord("A"))
        classes = (
            b"An"[: 1 + (ord("n") in letters)]
            if ord("A") in letters
            else bytes(letter for letter in self._ORDER if letter in letters)
        )
        return classes + bytes(letter for letter in b"KEm" if letter in letters)

    def show(self, value: Any) -> bytes:
        """See Kind."""
        return bytes(value).replace(b"An", b"A")


def check_oom_values(text: bytes) -> None:
    """Three integers from -2000 to 2000, or ValueError."""
    values = [parse_int64(word) for word in text.split(b" ")]
    if len(values) != 3:
        raise ValueError("wrong number of arguments")
    if any(value is None or not -2000 <= value <= 2000 for value in values):
        raise ValueError("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")


def check_ipv4(text: bytes) -> None:
    """An IPv4 address or nothing, or ValueError."""
    try:
        IPv4Address(text.decode("latin-1") or "0.0.0.0")
    except AddressValueError:
        raise ValueError("Invalid IPv4 address") from None


def check_ipv6(text: bytes) -> None:
    """An IPv6 address or nothing, or ValueError."""
    try:
        IPv6Address(text.decode("latin-1") or "::")
    except AddressValueError:
        raise ValueError("Invalid IPv6 address") from None


def check_hostname(text: bytes) -> None:
    """Letters, digits, hyphens, dots, or ValueError."""
    if not re.fullmatch(rb"[A-Za-z0-9.-]*", text):
        raise ValueError("Hostnames may only contain alphanumeric characters, hyphens or dots")


_ANNOUNCED = re.compile(rb"[A-Za-z0-9./:_\x80-\xff-]*")


def check_node_name(text: bytes) -> None:
    """What a node may be called, or ValueError."""
    if not _ANNOUNCED.fullmatch(text):
        raise ValueError("Announced human node name contained invalid character")


def check_address_name(text: bytes) -> None:
    """What an address or host name may have, or ValueError."""
    if not _ANNOUNCED.fullmatch(text):
        raise ValueError("cluster-announce-ip contains invalid character")


def check_locale(text: bytes) -> None:
    """A locale that this machine has, or ValueError."""
    before = locale.setlocale(locale.LC_COLLATE)
    try:
        locale.setlocale(locale.LC_COLLATE, text.decode("latin-1"))
    except locale.Error:
        raise ValueError("Invalid locale name") from None
    finally:
        locale.setlocale(locale.LC_COLLATE, before)


def check_process_title(text: bytes) -> None:
    """Text with known {variables}, or ValueError."""
    known = rb"title|listen-addr|server-mode|port|tls-port|unixsocket|config-file"
    if not re.fullmatch(rb"([^{}]|\{(" + known + rb")\})+", text):
        raise ValueError("template format is invalid or contains unknown variables")
