"""The arguments of SSCAN and its kin, which page through the elements of one key."""

from server.commands.arguments import integer
from server.commands.scan import DEFAULT_COUNT, scan_cursor
from server.commands.table import Args
from server.errors import SYNTAX, CommandError
from server.types.glob import EVERY_KEY, Matcher, compile_glob

cursor_of = scan_cursor
"""The cursor in an argument; raises CommandError. Read before the key is looked up, the options only after."""

_OF_OTHERS = {
    b"novalues": b"ERR NOVALUES option can only be used in HSCAN",
    b"noscores": b"ERR NOSCORES option can only be used in ZSCAN",
}


def element_options(options: Args, own: bytes = b"") -> tuple[int, Matcher | None, bool]:
    """What stands behind the cursor: COUNT, MATCH (None: every element matches), and whether `own`, the command's own
    option in lower case (HSCAN: novalues), was given. Raises CommandError."""
    count, matches, own_given = DEFAULT_COUNT, None, False
    rest = iter(options)
    for option in rest:
        name = option.lower()
        if name in _OF_OTHERS:
            if name != own:
                raise CommandError(_OF_OTHERS[name])
            own_given = True
            continue
        value = next(rest, None)
        if name == b"count" and value is not None:
            count = integer(value)
            if count < 1:
                raise CommandError(SYNTAX)
        elif name == b"match" and value is not None:
            matches = None if value == EVERY_KEY else compile_glob(value)
        else:
            raise CommandError(SYNTAX)
    return count, matches, own_given
