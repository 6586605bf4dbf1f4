"""A reply is one RESP value, whole, of the version that was asked for; that is all that is looked at."""


class Malformed(AssertionError):
    """A reply that is no RESP."""


def read_reply(reply: bytes, protocol: int) -> None:
    """Raises Malformed unless `reply` is exactly one value of RESP `protocol`."""
    end = _read(reply, 0, b"+-:$*" if protocol == 2 else b"+-:$*_,#!=(%~>|")
    if end != len(reply):
        raise Malformed(f"{len(reply) - end} bytes too many behind {reply[:end]!r}"[:500])


def _read(reply: bytes, start: int, kinds: bytes) -> int:
    """Where the value ends that begins at `start`."""
    missing = 1
    while missing:
        end = reply.find(b"\r\n", start)
        if end < 0 or reply[start] not in kinds or b"\n" in reply[start:end]:
            raise Malformed(f"no value at {start} of {reply[:300]!r}")
        kind, line = chr(reply[start]), reply[start + 1 : end]
        missing -= 1
        start = end + 2
        if kind in "$!=":
            size = int(line)
            if size >= 0:
                if reply[start + size : start + size + 2] != b"\r\n":
                    raise Malformed(f"a string has not the length it says: {reply[:300]!r}")
                start += size + 2
        elif kind in "*~>":
            missing += max(int(line), 0)
        elif kind in "%|":
            missing += 2 * int(line) + (kind == "|")
        elif kind == ":":
            int(line)
        elif kind == ",":
            float(line)
        elif kind == "#" and line not in (b"t", b"f"):
            raise Malformed(f"no boolean: {line!r}")
    return start
