"""Progress and Inflight: what a leader believes of a member, under any order of news."""

from hypothesis import given
from hypothesis import strategies as st

from raft.core.tracker import Inflight, Progress, ProgressState


def progress(next: int = 1) -> Progress:
    return Progress(2, next, Inflight(3, 100))


def test_inflight_is_full_by_number_or_by_bytes() -> None:
    window = Inflight(2, 100)

    def state() -> tuple[int, int, bool]:
        return window.count, window.size_bytes, window.full

    window.add(1, 1)
    assert state() == (1, 1, False)
    window.add(2, 1)
    assert state() == (2, 2, True)
    window.free_to(1)
    assert state() == (1, 1, False)
    window.free_to(2)
    window.add(3, 99)
    assert state() == (1, 99, False)
    window.free_to(3)
    window.add(4, 100)
    assert state() == (1, 100, True)


def test_number_and_bytes_reset_together() -> None:
    peer = progress()
    peer.become_replicate()
    peer.inflight.add(5, 100)
    peer.become_probe()
    assert (peer.inflight.count, peer.inflight.size_bytes, peer.inflight.full) == (0, 0, False)


def test_after_a_snapshot_it_is_probed_behind_it() -> None:
    peer = progress()
    peer.update(3)
    peer.become_snapshot(10)
    assert (peer.next, peer.pending_snapshot) == (11, 10)
    peer.become_probe()
    assert (peer.match, peer.next, peer.pending_snapshot) == (3, 11, 0)


def test_a_rejection_of_something_older_changes_nothing() -> None:
    peer = progress(next=10)
    assert not peer.decrease(5, 4)
    assert peer.next == 10
    assert peer.decrease(9, 4)
    assert peer.next == 5


def test_a_rejection_never_goes_below_match() -> None:
    peer = progress(next=10)
    peer.update(6)
    assert peer.decrease(9, 2)
    assert peer.next == 7


def test_an_acknowledgement_ends_the_wait_of_a_probe() -> None:
    peer = progress()
    peer.probe_sent = True
    assert not peer.update(0)
    assert peer.probe_sent
    assert peer.update(1)
    assert not peer.probe_sent


steps = st.lists(
    st.one_of(
        st.tuples(st.just("update"), st.integers(0, 50)),
        st.tuples(st.just("decrease"), st.integers(0, 50), st.integers(-1, 50)),
        st.tuples(st.just("become_probe")),
        st.tuples(st.just("become_replicate")),
        st.tuples(st.just("become_snapshot"), st.integers(1, 50)),
        st.tuples(st.just("send"), st.integers(1, 3)),
    ),
    max_size=60,
)


@given(steps)
def test_match_stays_below_next_and_never_shrinks(story: list[tuple[str, int]]) -> None:
    peer = progress()
    for name, *numbers in story:
        match = peer.match
        if name == "send":
            if peer.state is ProgressState.REPLICATE and not peer.inflight.full:
                peer.next += numbers[0]
                peer.inflight.add(peer.next - 1, 40)
        else:
            getattr(peer, name)(*numbers)
        assert match <= peer.match < peer.next
        assert peer.inflight.count <= 3
        assert (peer.inflight.count == 0) == (peer.inflight.size_bytes == 0)
