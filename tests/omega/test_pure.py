"""Paths, rules, statuses and the table, without a server."""

import re
import time

import msgspec
import pytest

from gristmill.dialects.omega_ml.datasets import condition
from gristmill.dialects.omega_ml.dates import iso, spaced
from gristmill.dialects.omega_ml.errors import RefusedError
from gristmill.dialects.omega_ml.keys import ACTIONS, Form, Target, resolve, spellings, split_run
from gristmill.dialects.omega_ml.profiles import Outcome, error_status
from gristmill.dialects.omega_ml.rules import Rules
from gristmill.dialects.omega_ml.swagger import swagger
from gristmill.dialects.omega_ml.table import OPERATIONS
from gristmill.dialects.omega_ml.work import status_of
from gristmill.domain.errors import InvalidInputError
from gristmill.domain.state import JobState
from gristmill.services.data.tasks import DataTask

LIST, ITEM, ACTION = Form.LIST, Form.ITEM, Form.ACTION


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("dataset", Target("dataset", LIST)),
        ("dataset/", Target("dataset", LIST)),
        ("dataset/a/b/", Target("dataset", ITEM, "a/b")),
        ("dataset/a/fit", Target("dataset", ITEM, "a/fit")),
        ("model/fit/", Target("model", ITEM, "fit")),
        ("model/a/fit", Target("model", ACTION, "a", "fit")),
        ("model/a/fit/", Target("model", ACTION, "a", "fit")),
        ("model/a/b/predict_proba", Target("model", ACTION, "a/b", "predict_proba")),
        ("model/a/fly", Target("model", ITEM, "a/fly")),
        ("job/results/a_1.ipynb/", Target("job", ACTION, "a_1.ipynb", "results")),
        ("job/export/p/a_1.ipynb", Target("job", ACTION, "p/a_1.ipynb", "export")),
        ("job/results", Target("job", ITEM, "results")),
        ("job/a/run/", Target("job", ACTION, "a", "run")),
        ("task/1/result", Target("task", ACTION, "1", "result")),
        ("task/1", Target("task", ITEM, "1")),
        ("ping/", Target("ping", LIST)),
        ("ping/x", None),
        ("service/x", Target("service", ITEM, "x")),
        ("service/a/b/predict/", Target("service", ACTION, "a/b", "predict")),
        ("service/", None),
        ("", None),
    ],
)
def test_paths(path: str, target: Target | None) -> None:
    assert resolve(path) == target


def test_other_words_behind_a_task() -> None:
    with pytest.raises(RefusedError) as caught:
        resolve("task/1/fly")
    assert caught.value.status == 400


def test_spellings() -> None:
    assert spellings("model", "a@x")[0] == spellings("model", "a^^")[0] == "a"
    assert spellings("dataset", "d[x,y]")[0] == "d"
    assert spellings("job", "j.ipynb")[0] == "j"
    assert split_run("p/a_12.ipynb") == ("p/a", 12)
    assert split_run("a.ipynb") is None
    assert split_run("a_x.ipynb") is None


ONLY_PREDICT = ["model/foo/predict"]


@pytest.mark.parametrize(
    ("rules", "resource", "name", "action", "passes"),
    [
        ([], "model", "a", "fit", True),
        ([".*/.*/.*"], "dataset", "a", "get", True),
        (["model/.*/.*"], "model", "a/b", "fit", True),
        (["model/.*/.*"], "dataset", "a", "get", False),
        (ONLY_PREDICT, "model", "foo", "predict", True),
        (ONLY_PREDICT, "model", "foo@v1", "predict", True),
        (ONLY_PREDICT, "model", "foo", "predict_proba", False),
        (ONLY_PREDICT, "model", "food", "predict", False),
        (ONLY_PREDICT, "MODEL", "foo", "predict", False),
        (["model/foo/predict/"], "model", "foo", "predict", True),
        (["scripts/.*/.*"], "script", "a", "run", True),
        (["job/a[.]ipynb/run"], "job", "a.ipynb", "run", True),
        (["model/x/fit", "job/.*/.*"], "job", "a", "run", True),
    ],
)
def test_rules(rules: list[str], resource: str, name: str, action: str, passes: bool) -> None:
    assert Rules(rules).passes(resource, spellings(resource, name), action) is passes


@pytest.mark.parametrize("rule", ["(", "*", "(?=a)b", r"(a)\1", "a" * 2000, "(a{1000}){1000}"])
def test_rules_that_are_none(rule: str) -> None:
    with pytest.raises(InvalidInputError):
        Rules([rule])


def test_rules_take_time_linear_in_the_name() -> None:
    rules = Rules(["(.*)*(.*)*(.*)*/(a*)*b/x", "model/(a|a?)+c/x"])
    began = time.process_time()
    assert not rules.passes("model", ["a" * 2000], "x")
    assert time.process_time() - began < 1
    with pytest.raises(RefusedError) as caught:
        rules.passes("model", ["a" * 2049], "x")
    assert caught.value.status == 400


def test_resources_that_no_rule_reaches() -> None:
    rules = Rules(["models?/foo/.*", "job/.*/.*"])
    for resource in ("model", "job"):
        rules.check_resource(resource)
    with pytest.raises(RefusedError) as caught:
        rules.check_resource("dataset")
    assert caught.value.status == 403
    Rules(["(dataset/a|job/b)/.*"]).check_resource("dataset")


def test_statuses() -> None:
    wanted = {
        "seed": {"READ": 200, "CREATED": 201, "RAN": 201, "CHANGED": 202, "STORED": 204},
        "flask": {"READ": 200, "CREATED": 201, "RAN": 200, "CHANGED": 200, "STORED": 200},
    }
    for profile, statuses in wanted.items():
        assert {each.name: each.status(profile) for each in Outcome} == statuses
    assert error_status(404, "seed", deleting_dataset=False) == 404
    assert error_status(404, "flask", deleting_dataset=False) == 400
    assert error_status(404, "flask", deleting_dataset=True) == 404
    later = [error_status(code, "flask", deleting_dataset=False) for code in (401, 403, 405, 500)]
    assert later == [401, 400, 405, 400]


@pytest.mark.parametrize(
    ("state", "started", "status"),
    [
        (JobState.WAITING, None, "PENDING"),
        (JobState.DELAYED, None, "PENDING"),
        (JobState.READY, None, "PENDING"),
        (JobState.RESERVED, None, "PENDING"),
        (JobState.DELAYED, 1.0, "RETRY"),
        (JobState.RUNNING, 1.0, "STARTED"),
        (JobState.COMPLETE, 1.0, "SUCCESS"),
        (JobState.BURIED, 1.0, "FAILURE"),
        (JobState.LOST, 1.0, "FAILURE"),
        (JobState.CANCELLED, 1.0, "REVOKED"),
    ],
)
def test_states_of_tasks(state: JobState, started: float | None, status: str) -> None:
    task = DataTask("1", 1, "model", "m", state, b"", "", False, b"", 0.0, started, None, {})
    assert status_of(task) == status


def test_times() -> None:
    assert iso(1454794429.833) == "2016-02-06T21:33:49.833000"
    assert spaced(1452981906) == "2016-01-16 22:05:06.000000"


@pytest.mark.parametrize(
    ("parameter", "column", "operation"),
    [
        ("x", "x", "eq"),
        ("x__gte", "x", "gte"),
        ("limit__eq", "limit", "eq"),
        ("a__b", "a__b", "eq"),
        ("a__b__in", "a__b", "in"),
        ("__in", "__in", "eq"),
    ],
)
def test_filters(parameter: str, column: str, operation: str) -> None:
    assert condition(parameter, "1") == (column, operation, "1")


def test_the_table_has_every_action_once_and_every_path_leads_to_it() -> None:
    assert len({(each.method, each.path) for each in OPERATIONS}) == len(OPERATIONS)
    words = {(each.resource, each.word) for each in OPERATIONS if each.form is ACTION}
    assert {(r, w) for r, known in ACTIONS.items() for w in known} <= words
    for each in OPERATIONS:
        key = "" if each.form is LIST else "a"
        path = re.sub(r"\{\w+\}", "a", each.path).removeprefix("/")
        assert resolve(path) == Target(each.resource, each.form, key, each.word)


def test_the_document() -> None:
    document = swagger("/api/v1", "seed")
    text = msgspec.json.encode(document).decode()
    assert sum(len(methods) for methods in document["paths"].values()) == len(OPERATIONS)
    for name in re.findall(r'"#/definitions/(\w+)"', text):
        assert name in document["definitions"]
    assert "anyOf" not in text
    assert '"null"' not in text
    fit = document["paths"]["/model/{name}/fit/"]["put"]
    assert {"202", "400", "401", "403", "404", "405", "500"} == set(fit["responses"])
    assert "204" in document["paths"]["/dataset/{name}/"]["put"]["responses"]
    later = swagger("/api/v1", "flask")["paths"]["/dataset/{name}/"]
    assert "200" in later["put"]["responses"]
    assert "404" in later["delete"]["responses"]
    assert "404" not in later["get"]["responses"]
