import math
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.domain.errors import InvalidInputError
from gristmill.domain.factories import (
    MOST_INSTANCES,
    Factory,
    check_factory,
    count,
    values_of,
    written,
)
from gristmill.domain.job import JobSpec, Task
from gristmill.domain.staging import Artifact, Staging
from gristmill.domain.substitution import instance_of, substitute


def factory(kind: str, *parameters: dict[str, Any], **more: Any) -> Factory:
    made: Factory = msgspec.convert(
        {"type": kind, "jobs": ["a"], **({"parameters": parameters} if parameters else {}), **more},
        Factory,
    )
    check_factory(made, "f")
    return made


def axis(name: str, start: float, end: float, **how: float) -> dict[str, Any]:
    return {"name": name, "start": start, "end": end, **how}


def everything(made: Factory) -> list[dict[str, Any]]:
    return [values_of(made, number) for number in range(count(made))]


@pytest.mark.parametrize(
    ("start", "end", "how", "values"),
    [
        (0.1, 0.3, {"step": 0.1}, ["0.1", "0.2", "0.3"]),
        (1, 3, {"step": 1}, ["1", "2", "3"]),
        (1.0, 2, {"step": 0.5}, ["1", "1.5", "2"]),
        (0, 0.9999999999, {"step": 0.5}, ["0", "0.5", "1"]),
        (0, 0.99, {"step": 0.5}, ["0", "0.5"]),
        (3, 1, {"step": -1}, ["3", "2", "1"]),
        (5, 5, {"step": 7}, ["5"]),
        (0, 1, {"number": 3}, ["0", "0.5", "1"]),
        (0, 1, {"number": 4}, ["0", "0.3333333333333333", "0.6666666666666666", "1"]),
        (7, 9, {"number": 1}, ["7"]),
        (1e-7, 3e-7, {"step": 1e-7}, ["1e-07", "2e-07", "3e-07"]),
    ],
)
def test_ranges(start: float, end: float, how: dict[str, float], values: list[str]) -> None:
    made = factory("sweep", axis("x", start, end, **how))
    assert [written(each["x"]) for each in everything(made)] == values


def test_the_first_parameter_of_a_sweep_varies_slowest() -> None:
    made = factory("sweep", axis("x", 0, 1, step=1), axis("y", 0, 2, step=1))
    found = [(each["x"], each["y"]) for each in everything(made)]
    assert found == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_zip_takes_values_together_and_repeat_has_none() -> None:
    made = factory("zip", {"name": "a", "values": [1, "x"]}, {"name": "b", "values": [2.0, 2.5]})
    assert everything(made) == [{"a": 1, "b": 2}, {"a": "x", "b": 2.5}]
    assert everything(factory("repeat", number=3)) == [{}, {}, {}]


@pytest.mark.parametrize(
    ("kind", "parameters", "more", "field"),
    [
        ("sweep", [axis("x", 0, 1)], {}, "f.parameters[0].step"),
        ("sweep", [axis("x", 0, 1, step=1, number=2)], {}, "f.parameters[0].step"),
        ("sweep", [axis("x", 0, 1, step=0)], {}, "f.parameters[0].step"),
        ("sweep", [axis("x", 1, 0, step=1)], {}, "f.parameters[0]"),
        ("sweep", [axis("x", 0, 1e308, step=1e-300)], {}, "f.parameters[0]"),
        ("sweep", [axis("x", 0, math.inf, step=1)], {}, "f.parameters[0].end"),
        ("sweep", [axis("x", 0, 1, step=1)] * 2, {}, "f.parameters[1].name"),
        ("sweep", [axis(n, 0, 999, step=1) for n in "xy"], {}, "f"),
        ("zip", [{"name": "a", "values": [1]}, {"name": "b", "values": [1, 2]}], {},
         "f.parameters[1].values"),
        ("repeat", [], {"number": MOST_INSTANCES + 1}, "f.number"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(
    kind: str, parameters: list[dict[str, Any]], more: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        factory(kind, *parameters, **more)
    assert caught.value.field == field


_TENTHS = st.integers(-10_000, 10_000)


@given(start=_TENTHS, step=st.integers(1, 300), steps=st.integers(0, 200), scale=st.integers(0, 6))
def test_a_range_meets_its_end_however_it_is_scaled(
    start: int, step: int, steps: int, scale: int
) -> None:
    unit = 10**scale
    made = factory(
        "sweep", axis("x", start / unit, (start + steps * step) / unit, step=step / unit)
    )
    assert count(made) == steps + 1
    exact = [Fraction(start + n * step, unit) for n in range(steps + 1)]
    assert [each["x"] for each in everything(made)] == [float(value) for value in exact]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_a_sweep_makes_every_combination_once(lengths: list[int]) -> None:
    axes = [axis(f"p{n}", 0, length - 1, step=1) for n, length in enumerate(lengths)]
    made = factory("sweep", *axes)
    found = [tuple(each.values()) for each in everything(made)]
    assert len(set(found)) == len(found) == count(made) == math.prod(lengths)
    assert found == sorted(found)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_values_read_back_as_what_they_were(value: float) -> None:
    assert float(written(value)) == value
    assert not written(value).endswith(".0") or abs(value) > 2**53


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$x ${x} $y ${y}", "1 1 $y ${y}"),
        ("$xx ${xx} $x-", "$xx ${xx} 1-"),
        ("$$x $$ ${", "$$x $$ ${"),
        ("nothing", "nothing"),
        ("$z", "$x"),
    ],
)
def test_substitution(text: str, result: str) -> None:
    assert substitute(text, {"x": "1", "z": "$x"}) == result


def test_an_instance_has_its_values_everywhere() -> None:
    spec = JobSpec(
        tasks=(Task(argv=("run", "--n=$n"), image="i"), Task(command="echo ${n} $m", image="i")),
        env={"A": "$n"},
        staging=Staging(
            artifacts=(Artifact(url="http://x/$n.tar"),),
            output_files=("out-$n",),
            output_dirs=("dir/$n",),
        ),
    )
    made = instance_of(spec, factory("zip", {"name": "n", "values": ["a b", 7]}, prefix="P_"), 0)
    assert made.tasks[0].argv == ("run", "--n=a b")
    assert made.tasks[1].command == "echo a b $m"
    assert made.env == {"A": "$n", "P_n": "a b"}
    assert made.staging is not None
    assert made.staging.artifacts[0].url == "http://x/a b.tar"
    assert made.staging.output_files == ("out-a b",)
    assert made.staging.output_dirs == ("dir/a b",)
