"""Everything that can be done with a model, with data of every form."""

from typing import Any

import pytest

from tests.omega.talk import Omega

COLUMNS = {"x": [0, 1, 2, 10, 11, 12], "z": [1, 1, 1, 9, 9, 9], "y": [0, 0, 0, 1, 1, 1]}


@pytest.fixture(scope="module", name="known")
def _known(omega: Omega) -> Omega:
    """A dataset ``d`` of two features and a label."""
    omega.ok("PUT", "dataset/d", 204, json={"data": COLUMNS, "append": False})
    return omega


def _model(omega: Omega, name: str, *steps: Any, query: str = "") -> str:
    pipeline = [[step, {}] if isinstance(step, str) else step for step in steps]
    omega.ok("POST", f"model/{query}", 201, json={"name": name, "pipeline": pipeline})
    return name


def _versions(omega: Omega, name: str) -> list[list[str]]:
    return [each["tags"] for each in omega.ok("GET", f"model/{name}/versions", 200)["objects"]]


def test_what_a_classifier_does(known: Omega) -> None:
    name = _model(known, "act/tree", ["t", "DecisionTreeClassifier", {"random_state": 1}])
    known.ok("PUT", f"model/{name}/fit?datax=d[x,z]&datay=d[y]", 202)
    data = "datax=d[x,z]"
    assert known.ok("PUT", f"model/{name}/predict?{data}", 202)["result"] == COLUMNS["y"]
    chances = known.ok("GET", f"model/{name}/predict_proba/?{data}", 200)["result"]
    assert chances[0] == [1.0, 0.0]
    assert known.ok("GET", f"model/{name}/score?{data}&datay=d[y]", 200)["result"] == 1.0
    for word in ("decision_function", "transform"):
        assert word in known.refused("GET", f"model/{name}/{word}?{data}", 400)
    assert "datay" in known.refused("GET", f"model/{name}/score?{data}", 400)


def test_learning_bit_by_bit_needs_the_classes_once(known: Omega) -> None:
    name = _model(known, "act/sgd", ["SGDClassifier", {"random_state": 1}])
    learn = f"model/{name}/partial_fit?datax=d[x,z]&datay=d[y]"
    assert "classes" in known.refused("PUT", learn, 400)
    known.ok("PUT", f"{learn}&classes=[0,1]", 202)
    assert known.ok("PUT", learn, 202)["result"] == "ok"
    assert len(_versions(known, name)) == 3
    said = known.ok("GET", f"model/{name}/decision_function?datax=d[x,z]", 200)["result"]
    assert len(said) == 6
    assert said[0] < 0 < said[5]


def test_what_needs_no_labels(known: Omega) -> None:
    name = _model(known, "act/scale", "StandardScaler", query="?tag=raw")
    fitted = known.ok("PUT", f"model/{name}/fit_transform?datax=d[x,z]&tag=fit", 202)
    assert [len(row) for row in fitted["result"]] == [2] * 6
    assert _versions(known, name) == [["fit", "latest"], ["raw"]]
    again = known.ok("GET", f"model/{name}/transform?datax=d[x,z]", 200)
    assert again["result"] == fitted["result"]
    groups = _model(known, "act/groups", ["KMeans", {"n_clusters": 2, "random_state": 1}])
    done = known.ok("PUT", f"model/{groups}/fit?datax=d[x,z]", 202)
    assert (done["result"], done["datay"]) == ("ok", None)
    labels = known.ok("GET", f"model/{groups}/predict?datax=d[x,z]", 200)["result"]
    assert len(set(labels[:3])) == len(set(labels[3:])) == 1
    assert labels[0] != labels[5]


def test_the_best_of_a_grid(known: Omega) -> None:
    name = _model(known, "act/grid", "Ridge")
    query = 'parameters={"alpha":[0.001,1000]}'
    found = known.ok("PUT", f"model/{name}/gridsearch?datax=d[x,z]&datay=d[x]&{query}", 202)
    assert found["result"]["best_params"] == {"alpha": 0.001}
    assert len(_versions(known, name)) == 2
    assert "parameters" in known.refused("PUT", f"model/{name}/gridsearch?datax=d&datay=d[y]", 400)


def test_rows_in_the_body(known: Omega) -> None:
    name = _model(known, "act/line", "LinearRegression")
    known.ok("PUT", f"model/{name}/fit?datax=d[x,z]&datay=d[x]", 202)
    wanted = [3.0, 4.0]
    for body in (
        {"columns": ["x", "z"], "data": {"z": [1, 1], "x": [3, 4]}},
        {"columns": ["x", "z"], "data": {"z": {"0": 1, "1": 1}, "x": {"0": 3, "1": 4}, "n": {}}},
        {"columns": ["x", "z"], "data": [{"x": 3, "z": 1}, {"z": 1, "x": 4}]},
        {"data": [[3, 1], [4, 1]]},
        {"columns": ["v"], "data": {"v": [[3, 1], [4, 1]]}, "shape": [2]},
    ):
        for method, status in (("PUT", 202), ("GET", 200)):
            said = known.ok(method, f"model/{name}/predict/", status, json=body)
            assert [round(value, 6) for value in said["result"]] == wanted, body
    both = known.ok("PUT", f"model/{name}/predict?datax=d[x,z]", 202, json=body)
    assert len(both["result"]) == 2
    assert (both["datax"], both["model"]) == ("d[x,z]", name)
    implied = known.ok("GET", f"model/{name}/?datax=d[x,z]&datay=d[y]", 200)
    assert (len(implied["result"]), implied["datay"]) == (6, "d[y]")
    wrong = {"columns": ["x", "z"], "data": {"x": [[3, 1]], "z": [[1]]}, "shape": [2]}
    assert "shape" in known.refused("PUT", f"model/{name}/predict", 400, json=wrong)


def test_a_second_model_of_a_name_is_a_version(known: Omega) -> None:
    name = _model(known, "act/twice", "Ridge")
    _model(known, name, "sklearn.linear_model.Lasso", query="?tag=b")
    assert _versions(known, name) == [["b", "latest"], []]
    known.ok("PUT", f"model/{name}@b/fit?datax=d[x]&datay=d[y]", 202)
    assert _versions(known, name) == [["latest"], ["b"], []]
    (listed,) = [
        each
        for each in known.ok("GET", "model/?limit=0", 200)["objects"]
        if each["model"]["name"] == name
    ]
    assert listed["resource_uri"] == "/api/v1/model/act/twice/"
    assert set(listed["model"]) == {"bucket", "created", "kind", "name"}


def test_a_notebook_of_ones_own(known: Omega) -> None:
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": "# Title"},
        {"cell_type": "code", "metadata": {}, "source": "6 * 7", "outputs": [],
         "execution_count": 5},
    ]  # fmt: skip
    content = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells}
    made = known.ok("POST", "job/own.ipynb/", 201, json={"content": content})
    assert (made["name"], made["job"]) == ("own.ipynb", "own")
    ran = known.ok("POST", "job/own.ipynb/run", 201)
    first, second = known.ok("GET", f"job/{ran['job_results'][0]}/", 200)["content"]["cells"]
    assert first["cell_type"] == "markdown"
    assert second["execution_count"] == 1
    assert second["outputs"][0]["data"]["text/plain"] == "42"
    assert known.ok("GET", "job/own", 200)["content"]["cells"][1]["execution_count"] == 5
    again = known.ok("POST", "job/own/run", 201)
    assert len(again["job_runs"]) == 2
    assert list(again["job_runs"]) == sorted(again["job_runs"], key=int)


def test_the_orient_of_the_query_wins(known: Omega) -> None:
    body = {"data": {"0": {"a": 1}, "1": {"a": 2}}, "orient": "dict", "append": False}
    known.ok("PUT", "dataset/turned?orient=index", 204, json=body)
    for orient, data in (
        ("list", {"a": [1, 2]}),
        ("records", [{"a": 1}, {"a": 2}]),
        ("index", {"0": {"a": 1}, "1": {"a": 2}}),
        ("columns", {"a": {"0": 1, "1": 2}}),
        ("split", {"index": [0, 1], "columns": ["a"], "data": [[1], [2]]}),
    ):
        said = known.ok("GET", f"dataset/turned?orient={orient}", 200)
        assert (said["orient"], said["data"]) == (orient, data)
    for orient, empty in (("list", {"a": []}), ("records", []), ("dict", {"a": {}})):
        said = known.ok("GET", f"dataset/turned?orient={orient}&a=9", 200)
        assert said["data"] == empty
