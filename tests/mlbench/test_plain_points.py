"""The short way to read a point says what the long one does, or leaves it to that."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gristmill.dialects.mlbench.errors import RefusedError
from gristmill.dialects.mlbench.points import Posted, read_plain, read_point

NOW = 1_800_000_000.25
TEXTS = st.one_of(st.text(max_size=6), st.sampled_from(["p", "loss", " p", "a\0b", "\ud800"]))
DATES = st.one_of(
    TEXTS,
    st.datetimes().map(lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")),
    st.sampled_from(["2018-08-03T09:21:44.331823Z", "2018-08-03 09:21:44.3", "2018-08-03"]),
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "pod_name": TEXTS,
        "run_id": st.one_of(st.integers(-2, 1 << 64), st.none(), TEXTS),
        "name": TEXTS,
        "value": st.one_of(TEXTS, st.integers(), st.floats(allow_nan=False), st.none()),
        "date": DATES,
        "metadata": st.one_of(TEXTS, st.dictionaries(TEXTS, st.integers(), max_size=2)),
        "cumulative": st.one_of(st.booleans(), TEXTS),
        "rank": st.integers(),
    },
)


def _long(body: Any) -> Posted | None:
    try:
        return read_point(body, NOW)
    except RefusedError:
        return None


@given(BODIES)
def test_both_ways_agree(body: dict[str, Any]) -> None:
    found = read_plain(json.dumps(body).encode(), NOW)
    if found is not None:
        assert found == _long(body)


def test_what_clients_post_goes_the_short_way() -> None:
    body = {"pod_name": "p", "run_id": 2, "name": "accuracy", "value": "0.7845"}
    for more in ({}, {"date": "2018-08-03T09:21:44.331823Z", "metadata": "m", "cumulative": False}):
        usual = body | more
        found = read_plain(json.dumps(usual).encode(), NOW)
        assert found is not None
        assert found == _long(usual)
