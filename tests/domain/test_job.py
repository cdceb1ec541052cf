import msgspec
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from gristmill.domain.errors import InvalidInputError
from gristmill.domain.job import Hook, Hooks, JobSpec, Task, check_spec, tasks_of
from gristmill.domain.resources import Resources
from gristmill.domain.retry import RetryPolicy


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (JobSpec(), "command"),
        (JobSpec(command=""), "command"),
        (JobSpec(command=" \n\t"), "command"),
        (JobSpec(command="a", tasks=(Task(command="b"),)), "tasks"),
        (JobSpec(tasks=(Task(command="a"), Task())), "tasks[1]"),
        (JobSpec(tasks=(Task(command="a", argv=("b",)),)), "tasks[0]"),
        (JobSpec(tasks=(Task(argv=("", "b")),)), "tasks[0].argv"),
        (JobSpec(command="a", cwd="relative"), "cwd"),
        (JobSpec(command="a", cwd="~other/x"), "cwd"),
        (JobSpec(command="a", dep_groups=("g", "h"), after_groups=("h",)), "after_groups"),
    ],
)
def test_what_does_not_make_a_job(spec: JobSpec, field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_spec(spec, "[3].")
    assert caught.value.field == f"[3].{field}"


@pytest.mark.parametrize(
    "spec",
    [
        JobSpec(command="a"),
        JobSpec(image="debian"),
        JobSpec(tasks=(Task(argv=("a", "")),)),
        JobSpec(tasks=(Task(image="x"),)),
        JobSpec(image="x", tasks=(Task(),)),
        JobSpec(command="a", cwd="~"),
        JobSpec(command="a", cwd="~/x"),
        JobSpec(command="a", cwd="/x", dep_groups=("g",), after_groups=("h",)),
    ],
)
def test_what_makes_a_job(spec: JobSpec) -> None:
    check_spec(spec)
    assert tasks_of(spec)


@pytest.mark.parametrize(
    "wrong",
    [
        {"command": 1},
        {"command": "a\x00b"},
        {"name": "a\nb"},
        {"name": "x" * 513},
        {"labels": {"": "x"}},
        {"env": {"A=B": "x"}},
        {"env": {"A": "\x00"}},
        {"after": [0]},
        {"after": [-1]},
        {"after": [1 << 63]},
        {"after": ["1"]},
        {"priority": 1_000_001},
        {"delay": -1},
        {"delay": float("nan")},
        {"queue_timeout": 0},
        {"shell": "fish"},
        {"nonsense": 1},
        {"tasks": [{"command": "a", "nonsense": 1}]},
        {"key": ""},
        {"mutex": "a\x7f"},
        {"dep_groups": [""]},
    ],
)
def test_the_types_refuse(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"command": "true", **wrong}, JobSpec)


_TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
_WORD = st.text("abcXYZ01-_./ é", min_size=1, max_size=10)
_TASKS = st.builds(
    Task,
    command=_TEXT,
    env=st.dictionaries(st.text("ABC_", min_size=1, max_size=4), _TEXT, max_size=2),
    retries=st.integers(0, 1_000),
)
_SPECS = st.builds(
    JobSpec,
    tasks=st.lists(_TASKS, min_size=1, max_size=3).map(tuple),
    name=_WORD,
    labels=st.dictionaries(_WORD, _WORD, max_size=3),
    priority=st.integers(-1_000_000, 1_000_000),
    resources=st.builds(Resources, cpus=st.floats(0, 64), memory=st.integers(0, 1 << 40)),
    retry=st.builds(RetryPolicy, retries=st.integers(0, 10)),
    hooks=st.builds(Hooks, on_exit=st.lists(st.builds(Hook, run=_TEXT), max_size=2).map(tuple)),
    after=st.lists(st.integers(1, (1 << 63) - 1), max_size=3).map(tuple),
    delay=st.floats(0, 1e8),
)


@given(_SPECS)
def test_a_spec_survives_storage_and_the_wire(spec: JobSpec) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(spec), type=JobSpec) == spec
    assert msgspec.json.decode(msgspec.json.encode(spec), type=JobSpec) == spec


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_ANYTHING = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(_ANYTHING, st.sampled_from(JobSpec.__struct_fields__))
def test_any_value_in_any_field_is_taken_or_refused(value: object, field: str) -> None:
    try:
        spec = msgspec.convert({"command": "true", field: value}, JobSpec)
        check_spec(spec)
    except (msgspec.ValidationError, InvalidInputError):
        event("refused")
