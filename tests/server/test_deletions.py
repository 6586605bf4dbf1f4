"""What is remembered of keys that went away is bounded."""

from server.keyspace import deletions as deletions_module
from server.keyspace.deletions import Deletions


def test_what_was_watched_does_not_become_more_with_each_flush() -> None:
    watched_max = deletions_module.watched_max
    known = Deletions(7)
    for number in range(watched_max):
        known.watch(b"h0%d" % number)
    asked: list[bytes] = []

    def is_there(where: bytes) -> bool:
        asked.append(where)
        return False

    for space in range(5):
        known.flush(8 + space, b"h%d" % space, b"h%d" % (space + 1), is_there)
    assert known.last(b"h5%d" % (watched_max - 1)) == 7, "it was missing all the time"
    asked.clear()
    for space in range(5):
        known.flush(20, b"h%d" % space, b"h9", is_there)
    assert asked == [], "the places of before are forgotten"
