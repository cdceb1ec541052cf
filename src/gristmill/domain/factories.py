"""Factories: one job of a workflow becomes many, each with values of its own."""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated

import msgspec

from gristmill.domain.errors import InvalidInputError
from gristmill.domain.job import Name, Word

MOST_INSTANCES = 100_000
"""Jobs of one workflow, its factories worked out."""

LARGEST_EXACT = 2**53
"""Whole floats beyond this are not written as integers: their last digits mean nothing."""

_TOLERANCE = Decimal("1e-9")
"""Of a step: how far beyond its end a range may reach, for ends that were rounded."""

Value = str | int | float
Whole = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
Number = Whole | float
ValueText = Annotated[str, msgspec.Meta(max_length=4096, pattern=r"^[^\x00]*\Z")]
ParameterName = Annotated[
    str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*\Z")
]
Prefix = Annotated[str, msgspec.Meta(max_length=128, pattern=r"^[A-Za-z0-9_]*\Z")]
Jobs = Annotated[tuple[Word, ...], msgspec.Meta(min_length=1, max_length=10_000)]


class _Strict(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
):
    pass


class Range(_Strict, frozen=True, kw_only=True, gc=False):
    """Numbers from start to end, both included where the steps meet the end.

    Exactly one of: step, the distance; number, how many evenly spaced values.
    """

    name: ParameterName
    start: Number
    end: Number
    step: Number | None = None
    number: Annotated[int, msgspec.Meta(ge=1)] | None = None


class Series(_Strict, frozen=True, kw_only=True, gc=False):
    """Values one after another."""

    name: ParameterName
    values: Annotated[tuple[ValueText | Whole | float, ...],
                      msgspec.Meta(min_length=1, max_length=MOST_INSTANCES)]  # fmt: skip


class _Factory(_Strict, frozen=True, kw_only=True, gc=False):
    """jobs: names of those it multiplies.

    prefix: each parameter is in the environment under its name with this before it.
    """

    jobs: Jobs
    name: Name = ""
    prefix: Prefix = "GRISTMILL_PARAMETER_"


class Sweep(_Factory, tag="sweep", frozen=True, kw_only=True, gc=False):
    """Every combination of the parameters' values; the first parameter varies slowest."""

    parameters: Annotated[tuple[Range, ...], msgspec.Meta(min_length=1, max_length=100)]


class Zip(_Factory, tag="zip", frozen=True, kw_only=True, gc=False):
    """The first values of all parameters together, then the second ones, and so on."""

    parameters: Annotated[tuple[Series, ...], msgspec.Meta(min_length=1, max_length=100)]


class Repeat(_Factory, tag="repeat", frozen=True, kw_only=True, gc=False):
    """The same job several times."""

    number: Annotated[int, msgspec.Meta(ge=1)]


Factory = Sweep | Zip | Repeat


def check_factory(factory: Factory, field: str) -> None:
    """Check what the types alone cannot. Raises InvalidInputError."""
    if isinstance(factory, Repeat):
        _check_count(factory.number, f"{field}.number")
        return
    seen: set[str] = set()
    parameters: tuple[Range | Series, ...] = factory.parameters
    for number, parameter in enumerate(parameters):
        place = f"{field}.parameters[{number}]"
        if parameter.name in seen:
            raise InvalidInputError(f"{parameter.name!r} is given twice", f"{place}.name")
        seen.add(parameter.name)
        if isinstance(parameter, Range):
            _check_range(parameter, place)
    if isinstance(factory, Zip):
        _check_lengths(factory, field)
    _check_count(count(factory), field)


def _check_range(parameter: Range, field: str) -> None:
    for name in ("start", "end", "step"):
        number = getattr(parameter, name)
        if number is not None and not math.isfinite(number):
            raise InvalidInputError("is not a finite number", f"{field}.{name}")
    if (parameter.step is None) == (parameter.number is None):
        raise InvalidInputError("give either step or number", f"{field}.step")
    if parameter.step == 0:
        raise InvalidInputError("must not be 0", f"{field}.step")
    if parameter.step is not None and _length(parameter) == 0:
        raise InvalidInputError(
            f"no value lies from {parameter.start} to {parameter.end} in steps of {parameter.step}",
            field,
        )
    _check_count(_length(parameter), field)


def _check_lengths(factory: Zip, field: str) -> None:
    first = len(factory.parameters[0].values)
    for number, parameter in enumerate(factory.parameters):
        if len(parameter.values) != first:
            raise InvalidInputError(
                f"has {len(parameter.values)} values, and {factory.parameters[0].name!r} has "
                f"{first}: all must have as many",
                f"{field}.parameters[{number}].values",
            )


def _check_count(instances: int, field: str) -> None:
    if instances > MOST_INSTANCES:
        raise InvalidInputError(f"makes more than {MOST_INSTANCES} jobs", field)


def count(factory: Factory) -> int:
    """Return how many instances the factory makes of a job."""
    if isinstance(factory, Repeat):
        return factory.number
    if isinstance(factory, Zip):
        return len(factory.parameters[0].values)
    return math.prod(_length(parameter) for parameter in factory.parameters)


def values_of(factory: Factory, instance: int) -> dict[str, Value]:
    """Return the parameters of one instance, counted from 0."""
    if isinstance(factory, Repeat):
        return {}
    if isinstance(factory, Zip):
        return {each.name: _plain(each.values[instance]) for each in factory.parameters}
    found: dict[str, Value] = {}
    for parameter in reversed(factory.parameters):
        instance, index = divmod(instance, _length(parameter))
        found[parameter.name] = _plain(_nth(parameter, index))
    return {parameter.name: found[parameter.name] for parameter in factory.parameters}


def written(value: Value) -> str:
    """Return a value as text: whole numbers as integers, others as short as they are exact."""
    return value if isinstance(value, str) else repr(_plain(value))


def environment(factory: Factory, values: Mapping[str, Value]) -> dict[str, str]:
    """Return the variables that tell an instance its values."""
    return {f"{factory.prefix}{name}": written(value) for name, value in values.items()}


def instances(factories: Sequence[Factory]) -> dict[str, Factory]:
    """Return the factory of each job that has one."""
    return {job: factory for factory in factories for job in factory.jobs}


def _length(parameter: Range) -> int:
    if parameter.number is not None:
        return parameter.number
    assert parameter.step is not None
    steps = (_exact(parameter.end) - _exact(parameter.start)) / _exact(parameter.step)
    if steps > MOST_INSTANCES:
        return MOST_INSTANCES + 1
    return max(0, math.floor(steps + _TOLERANCE) + 1)


def _nth(parameter: Range, index: int) -> float:
    start, end = _exact(parameter.start), _exact(parameter.end)
    if parameter.step is not None:
        return float(start + index * _exact(parameter.step))
    assert parameter.number is not None
    if index == 0:
        return float(start)
    return float(start + index * (end - start) / (parameter.number - 1))


def _exact(number: Number) -> Decimal:
    """Return the number as it is written, so that 0.1 + 2 * 0.1 is 0.3."""
    return Decimal(repr(number))


def _plain(value: Value) -> Value:
    if isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST_EXACT:
        return int(value)
    return value
