"""The order of a dict's keys follows the dict, and a scan sees the dict's rows over the store's."""

from hypothesis import given, settings
from hypothesis import strategies as st

from server.keyspace import order
from server.keyspace.order import Order, overlaid

keys = st.binary(min_size=1, max_size=2)
steps = st.lists(
    st.tuples(st.sampled_from(["put", "put", "put", "delete", "follow", "scan"]), keys, keys), max_size=300
)


@settings(max_examples=150)
@given(steps=steps)
def test_it_has_the_keys_of_the_dict_in_order(steps: list[tuple[str, bytes, bytes]]) -> None:
    source: dict[bytes, int] = {}
    one = Order()
    order.CHUNK_MAX = 8
    try:
        for what, key, other in steps:
            if what == "put":
                source[key] = 1
            elif what == "delete":
                if source.pop(key, None) is not None:
                    one.discard(key)
            else:
                one.follow(source)
                start, stop = sorted((key, other))
                expected = sorted(each for each in source if start <= each < stop)
                assert list(one.range(start, stop, reverse=False)) == expected
                assert list(one.range(start, stop, reverse=True)) == expected[::-1]
                assert len(one) == len(source)
    finally:
        order.CHUNK_MAX = 512


@settings(max_examples=50)
@given(first=st.sets(keys, max_size=40), more=st.lists(keys, max_size=40), reverse=st.booleans())
def test_a_range_goes_on_while_keys_come(first: set[bytes], more: list[bytes], reverse: bool) -> None:
    source = dict.fromkeys(first, 1)
    one = Order()
    one.follow(source)
    seen: list[bytes] = []
    for key in one.range(b"", b"\xff\xff\xff", reverse):
        seen.append(key)
        if more:
            source[more.pop()] = 1
            one.follow(source)
    assert seen == sorted(seen, reverse=reverse)
    assert len(set(seen)) == len(seen)
    assert first <= set(seen)


@given(
    store=st.dictionaries(keys, st.just(b"old")), mine=st.dictionaries(keys, st.sampled_from([b"new", None]))
)
def test_the_dict_s_rows_hide_the_store_s(store: dict[bytes, bytes], mine: dict[bytes, bytes | None]) -> None:
    expected = {key: value for key, value in {**store, **mine}.items() if value is not None}
    for reverse in (False, True):
        rows = overlaid(
            iter(sorted(store.items(), reverse=reverse)),
            iter(sorted(mine, reverse=reverse)),
            mine.get,
            reverse,
        )
        assert list(rows) == sorted(expected.items(), reverse=reverse)
