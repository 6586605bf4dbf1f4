"""What nodes publish to each other, where it does not fit."""

from types import SimpleNamespace

import msgspec
import pytest

from server.pubsub import lane
from server.pubsub.lane import Exchange, Frame
from tests.server.test_forwarder import Link, Links


def test_what_is_too_large_for_a_frame_is_missed_and_the_other_node_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lane, "frame_bytes_max", 400)
    links, link = Links(), Link()
    exchange = Exchange(links, SimpleNamespace())  # type: ignore[arg-type]
    links.on_open(link)
    link.frames.clear()
    for message in (b"x" * 400, b"small"):
        exchange.message(0, b"channel", message)
        exchange.flush()
    assert exchange.dropped_frames == 1
    missed, small = (msgspec.msgpack.decode(frame, type=Frame) for frame in link.frames)
    assert missed.missed
    assert small.messages == [(0, b"channel", b"small")]
