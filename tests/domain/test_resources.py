import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.domain.resources import Capacity, Resources, need, need_of, node
from gristmill.domain.shape import Shape, suits

_AMOUNTS = st.integers(0, 1 << 50)
_NEEDS = st.builds(need, _AMOUNTS, _AMOUNTS, _AMOUNTS, _AMOUNTS)


@given(_NEEDS, st.lists(_NEEDS, max_size=6))
def test_what_is_taken_and_given_back_leaves_no_trace(
    first: Capacity, others: list[Capacity]
) -> None:
    free = node(1 << 40, 1 << 40, 1 << 40, 1 << 40)
    before = free.copy()
    for wanted in (first, *others):
        free.take(wanted)
    for wanted in (first, *others):
        free.give(wanted)
    assert free == before
    assert free is not before


@given(_NEEDS, _NEEDS)
def test_what_fits_leaves_nothing_negative(have: Capacity, wanted: Capacity) -> None:
    left = [getattr(have, name) - getattr(wanted, name) for name in have.__struct_fields__]
    assert have.fits(wanted) == all(amount >= 0 for amount in left)


@given(st.floats(0, 100_000))
def test_fractions_of_cores_are_thousandths(cpus: float) -> None:
    wanted = need_of(Resources(cpus=cpus))
    assert abs(wanted.cpu_shares - cpus * 1_000) <= 0.5
    assert wanted.light == (wanted.cpu_shares == 0)


def test_a_node_takes_two_light_members_a_core_and_at_least_two() -> None:
    assert node(8_000, 1, 1, 0).light == 16
    assert node(500, 1, 1, 0).light == 2
    assert node(0, 1, 1, 0).light == 2


@pytest.mark.parametrize(
    "wrong",
    [{"cpus": -1}, {"cpus": float("nan")}, {"cpus": float("inf")}, {"cpus": "1"}, {"memory": 1.5},
     {"memory": -1}, {"memory": 1 << 60}, {"gpus": 0.5}, {"nodes": 0}, {"nodes": 1 << 40},
     {"walltime": 0}, {"walltime": -5}, {"walltime": 1e30}, {"cores": 1}],
)  # fmt: skip
def test_wishes_have_bounds(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, Resources)


def _shape(**fields: object) -> Shape:
    return Shape(1_000, 0, 0, 0, 1, False, "", ())._replace(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pool", "pools", "fits"),
    [("", [], True), ("", ["default"], True), ("default", [], True), ("", ["a"], False),
     ("a", ["a", "b"], True), ("a", [], False), ("a", ["default"], False)],
)  # fmt: skip
def test_pools(pool: str, pools: list[str], fits: bool) -> None:
    assert suits(_shape(pool=pool), pools=pools, labels={}, runtimes=[]) == fits


def test_containers_and_constraints() -> None:
    container = _shape(container=True)
    assert not suits(container, pools=[], labels={}, runtimes=["process"])
    assert suits(container, pools=[], labels={}, runtimes=["process", "container"])
    labelled = _shape(constraints=(("a", "1"), ("b", "")))
    assert suits(labelled, pools=[], labels={"a": "1", "b": "", "c": "2"}, runtimes=[])
    assert not suits(labelled, pools=[], labels={"a": "1"}, runtimes=[])
    assert not suits(labelled, pools=[], labels={"a": "2", "b": ""}, runtimes=[])
