"""What has an encoding of its own survives it; what is damaged is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft.core import Change, ChangeKind, ConfChange, JointMode, decode_conf_change, encode_conf_change

conf_change = st.builds(
    ConfChange,
    st.lists(st.builds(Change, st.sampled_from(ChangeKind), st.integers(0, 2**64 - 1)), max_size=5).map(
        tuple
    ),
    st.sampled_from(JointMode),
    st.binary(max_size=20),
)


@given(conf_change)
def test_a_change_survives_its_encoding(change: ConfChange) -> None:
    assert decode_conf_change(encode_conf_change(change)) == change


def test_the_layout_is_fixed() -> None:
    change = ConfChange((Change(ChangeKind.REMOVE, 3),), JointMode.EXPLICIT, b"at")
    assert encode_conf_change(change).hex(" ") == "01 02 00 01 02 00 00 00 00 00 00 00 03 61 74"


@given(conf_change, st.data())
def test_a_change_that_is_cut_short_is_refused(change: ConfChange, data: st.DataObject) -> None:
    whole = encode_conf_change(change._replace(context=b""))
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ValueError, match=r"damaged|not a valid"):
        decode_conf_change(whole[:cut])


def test_a_newer_version_is_refused() -> None:
    with pytest.raises(ValueError, match="newer version"):
        decode_conf_change(b"\x02\x00\x00\x00")
