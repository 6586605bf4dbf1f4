"""What clients may send, what it means, and the error that ends it. Held against our parser and a real
Valkey."""

from typing import NamedTuple


class Transcript(NamedTuple):
    """`sent` means `requests`, then the protocol error with this text, if any."""

    claim: str
    sent: bytes
    requests: list[list[bytes]]
    error: bytes | None = None


PING = b"*1\r\n$4\r\nPING\r\n"
ONE = [[b"PING"]]

BULK_LENGTH = b"invalid bulk length"
COUNT = b"invalid multibulk length"
CRLF = b"invalid CRLF in request"
QUOTES = b"unbalanced quotes in request"

TRANSCRIPTS = [
    Transcript("a request is an array of bulk strings", PING, ONE),
    Transcript("requests may come back to back", PING * 3, ONE * 3),
    Transcript(
        "a payload may hold anything",
        b"*2\r\n$4\r\nECHO\r\n$8\r\n\r\n*1\r\n\0\xfe\r\n",
        [[b"ECHO", b"\r\n*1\r\n\0\xfe"]],
    ),
    Transcript(
        "a payload may be empty", b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n" + PING, [[b"ECHO", b""], [b"PING"]]
    ),
    Transcript("a name may be empty", b"*1\r\n$0\r\n\r\n" + PING, [[b""], [b"PING"]]),
    Transcript("an empty array is no request", b"*0\r\n" + PING, ONE),
    Transcript("a null array is no request", b"*-1\r\n" + PING, ONE),
    Transcript("any negative array is no request", b"*-9223372036854775808\r\n" + PING, ONE),
    Transcript("but it must fit 64 bits", PING + b"*-9223372036854775809\r\n", ONE, COUNT),
    Transcript("a count has no leading zero", PING + b"*01\r\n$4\r\nPING\r\n", ONE, COUNT),
    Transcript("a count has no plus", b"*+1\r\n", [], COUNT),
    Transcript("a count is not minus zero", b"*-0\r\n", [], COUNT),
    Transcript("a count has no blank before it", b"* 1\r\n", [], COUNT),
    Transcript("a count has no blank behind it", b"*1 \r\n", [], COUNT),
    Transcript("a count is not empty", b"*\r\n", [], COUNT),
    Transcript("a count is a number", b"*x\r\n", [], COUNT),
    Transcript("a NUL ends nothing", b"*1\0\r\n", [], COUNT),
    Transcript("the highest count is accepted", b"*2147483647\r\n$4\r\nPING\r\n", []),
    Transcript("one more is not", b"*2147483648\r\n", [], COUNT),
    Transcript("a line ends with CR LF, not with LF", b"*1\n$4\nPING\n" + PING, [], COUNT),
    Transcript("nor with CR and a byte", b"*1\rx$4\r\nPING\r\n", [], CRLF),
    Transcript("nor with CR CR LF", b"*1\r\r\n$4\r\nPING\r\n", [], CRLF),
    Transcript("the same in a length", b"*1\r\n$4\rxPING\r\n", [], CRLF),
    Transcript("a payload ends where its length says", PING + b"*1\r\n$4\r\nPINGxx" + PING, ONE, CRLF),
    Transcript("and with CR LF", b"*1\r\n$4\r\nPING\rx", [], CRLF),
    Transcript("a length too short is found", b"*1\r\n$3\r\nPING\r\n", [], CRLF),
    Transcript("an argument is no integer", PING + b"*1\r\n:5\r\n", ONE, b"expected '$', got ':'"),
    Transcript(
        "an argument is no simple string", b"*2\r\n$4\r\nECHO\r\n+x\r\n", [], b"expected '$', got '+'"
    ),
    Transcript("an argument is no array", b"*1\r\n*1\r\n$4\r\nPING\r\n", [], b"expected '$', got '*'"),
    Transcript("an argument is no RESP3 null", b"*1\r\n_\r\n", [], b"expected '$', got '_'"),
    Transcript(
        "an argument is no verbatim string", b"*1\r\n=8\r\ntxt:PING\r\n", [], b"expected '$', got '='"
    ),
    Transcript("an argument is no empty line", b"*1\r\n\r\n", [], b"expected '$', got ' '"),
    Transcript(
        "the byte that is wrong is shown as it is", b"*1\r\n\xfe\r\n", [], b"expected '$', got '\xfe'"
    ),
    Transcript("the wrong byte is told once its line ended", b"*1\r\n:5", []),
    Transcript("an argument is not null", PING + b"*1\r\n$-1\r\n", ONE, BULK_LENGTH),
    Transcript("a length has no leading zero", b"*1\r\n$04\r\nPING\r\n", [], BULK_LENGTH),
    Transcript("a length is not minus zero", b"*1\r\n$-0\r\n\r\n", [], BULK_LENGTH),
    Transcript("a length is not empty", b"*1\r\n$\r\n", [], BULK_LENGTH),
    Transcript("a length has no blank", b"*1\r\n$4 \r\nPING\r\n", [], BULK_LENGTH),
    Transcript("a length fits 64 bits", b"*1\r\n$9223372036854775808\r\n", [], BULK_LENGTH),
    Transcript("the longest argument is accepted", b"*1\r\n$1048576\r\n", []),
    Transcript("one byte more is not", b"*1\r\n$1048577\r\n", [], BULK_LENGTH),
    Transcript("a count's line is bounded", b"*" + b"1" * 65536, [], b"too big mbulk count string"),
    Transcript("a length's line is bounded", b"*1\r\n$" + b"1" * 65536, [], b"too big bulk count string"),
    Transcript("whatever it begins with", b"*1\r\n:" + b"1" * 65536, [], b"too big bulk count string"),
    Transcript("just within the bound it may go on", b"*1\r\n$" + b"1" * 65535, []),
    Transcript("a line that is no array is a command", b"PING\r\n" + PING, ONE * 2),
    Transcript("LF ends it as well", b"PING\n" + PING, ONE * 2),
    Transcript("an empty line is no request", b"\r\n\n   \r\n" + PING, ONE),
    Transcript("replies are commands too", b":5\r\n" + PING, [[b":5"], [b"PING"]]),
    Transcript("so is a lone bulk string", b"$4\r\nPING\r\n", [[b"$4"], [b"PING"]]),
    Transcript("so are maps, sets and pushes", b"%1\r\n~1\r\n>1\r\n", [[b"%1"], [b"~1"], [b">1"]]),
    Transcript("CR separates when no LF follows", b"ECHO\rx\r\n", [[b"ECHO", b"x"]]),
    Transcript("vertical tabs do not separate", b"ECHO a\x0bb\r\n", [[b"ECHO", b"a\x0bb"]]),
    Transcript("but are skipped before an argument", b"ECHO \x0b\x0cab\r\n", [[b"ECHO", b"ab"]]),
    Transcript(
        "double quotes know escapes",
        b'ECHO "a\\x41\\n\\r\\t\\b\\a\\q\\"\\x4"\r\n',
        [[b"ECHO", b'aA\n\r\t\b\aq"x4']],
    ),
    Transcript("single quotes know one", b"ECHO 'a\\x41\\'b\\\\c'\r\n", [[b"ECHO", b"a\\x41'b\\\\c"]]),
    Transcript("quotes join what is around them", b"ECHO a\"b c\"d'e f'\r\n", [[b"ECHO", b"ab cde f"]]),
    Transcript("quotes may hold nothing", b'ECHO ""\r\n', [[b"ECHO", b""]]),
    Transcript("a backslash outside of quotes is itself", b"ECHO \\n\r\n", [[b"ECHO", b"\\n"]]),
    Transcript("double quotes must end", b'PING\r\n"PING\r\n', ONE, QUOTES),
    Transcript("single quotes must end", b"'PING\r\n", [], QUOTES),
    Transcript("a quote is not ended by an escaped one", b'"a\\"b\r\n', [], QUOTES),
    Transcript("a command line is bounded", b"a" * 65537, [], b"too big inline request"),
    Transcript("just within the bound it may go on", b"a" * 65536, []),
    Transcript("a NUL in a command line keeps it from ending", b"PI\0NG\r\n" + PING, []),
]

LOCKED_TRANSCRIPTS = [
    Transcript("ten arguments are accepted", b"*10\r\n" + b"$1\r\nx\r\n" * 10, [[b"x"] * 10]),
    Transcript("eleven are not", PING + b"*11\r\n", ONE, b"unauthenticated multibulk length"),
    Transcript("16 KiB are accepted", b"*1\r\n$16384\r\n", []),
    Transcript("a byte more is not", PING + b"*1\r\n$16385\r\n", ONE, b"unauthenticated bulk length"),
    Transcript("the general limits are told first", b"*2147483648\r\n", [], COUNT),
    Transcript("for arguments too", b"*1\r\n$1048577\r\n", [], BULK_LENGTH),
    Transcript("inline commands have no such limit", b"x " * 20 + b"\r\n", [[b"x"] * 20]),
]

DOUBLES = [
    (0.0, b"0"),
    (float("inf"), b"inf"),
    (float("-inf"), b"-inf"),
    (3.0, b"3"),
    (-2.5, b"-2.5"),
    (0.1, b"0.1"),
    (0.001, b"0.001"),
    (0.0001234, b"1.234e-4"),
    (0.000123, b"0.000123"),
    (1e-7, b"1e-7"),
    (1.25e-9, b"1.25e-9"),
    (-0.0010000000000000002, b"-0.0010000000000000002"),
    (1234.5678901, b"1234.5678901"),
    (9999.5, b"9999.5"),
    (10000.5, b"10000.5"),
    (12345.6789012, b"1.23456789012e+4"),
    (2.0**62, b"4611686018427387904"),
    (1e19, b"1e+19"),
    (1.5e300, b"1.5e+300"),
    (5e-324, b"5e-324"),
]
"""Numbers, and how Valkey prints them."""
