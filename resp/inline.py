"""Command lines as people type them: inline commands, and values in CONFIG SET and configuration files.

Arguments are separated by blanks. Quotes may begin and end anywhere in an argument. Between double quotes \\n
\\r \\t \\b \\a and \\x41 have their usual meaning and a backslash makes any other byte literal; between
single quotes only \\' is special. These are the rules of Valkey 9.1; older versions want a blank after a
closing quote.
"""

import re

__all__ = ["split_inline"]

_BLANKS = b" \t\n\v\f\r"

_PIECE = re.compile(
    rb"""
      (?P<blanks> [ \t\n\r] [ \t\n\v\f\r]* )
    | (?P<plain>  [^ \t\n\r"']+ )
    | " (?P<double> [^"\\]* (?: \\. [^"\\]* )* ) "
    | ' (?P<single> [^'\\]* (?: (?: \\' | \\ (?!') ) [^'\\]* )* ) '
    """,
    re.DOTALL | re.VERBOSE,
)

_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}


def split_inline(line: bytes) -> list[bytes]:
    """The arguments of one line, possibly none. Raises ValueError when a quote is not closed."""
    args: list[bytes] = []
    pieces: list[bytes] = []  # of the argument at hand; empty between arguments
    line = line.lstrip(_BLANKS)
    position = 0
    while position < len(line):
        match = _PIECE.match(line, position)
        if match is None:
            raise ValueError("unbalanced quotes")
        position = match.end()
        match match.lastgroup:
            case "plain":
                pieces.append(match["plain"])
            case "double":
                pieces.append(_ESCAPE.sub(_unescaped, match["double"]))
            case "single":
                pieces.append(match["single"].replace(b"\\'", b"'"))
            case _:
                args.append(b"".join(pieces))
                pieces = []
    if pieces:
        args.append(b"".join(pieces))
    return args


def _unescaped(match: re.Match[bytes]) -> bytes:
    hexadecimal, byte = match.groups()
    if hexadecimal is not None:
        return bytes.fromhex(hexadecimal.decode())
    return _ESCAPED.get(byte, byte)
