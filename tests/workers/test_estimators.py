"""What a client may build: scikit-learn's estimators, with arguments that stay inside."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from gristmill.workers import models, vault
from gristmill.workers.estimators import build, known
from gristmill.workers.refusals import RefusedError
from gristmill.workers.wire import Frame


def _build(pipeline: Any) -> Any:
    return build(msgspec.json.encode({"pipeline": pipeline}))


@pytest.mark.parametrize(
    ("pipeline", "field"),
    [
        ([["os.system", {}]], "pipeline[0]"),
        ([["builtins.eval", {}]], "pipeline[0]"),
        ([["subprocess.Popen", {"args": ["true"]}]], "pipeline[0]"),
        ([["sklearn.utils.all_estimators", {}]], "pipeline[0]"),
        ([["sklearn.linear_model._base.LinearRegression.__init__", {}]], "pipeline[0]"),
        ([["LinearRegression\0", {}]], "pipeline[0]"),
        ([["FunctionTransformer", {"func": "os.system"}]], "pipeline[0].func"),
        ([["CountVectorizer", {"input": "filename"}]], "pipeline[0].input"),
        ([["FeatureAgglomeration", {"memory": "/tmp/x"}]], "pipeline[0].memory"),
        ([["LogisticRegression", {"C": "x"}]], "pipeline[0]"),
        ([["LinearRegression", {"nope": 1}]], "pipeline[0]"),
        ([["LinearRegression", 7]], "pipeline[0]"),
        ([[1, {}]], "pipeline[0]"),
        ([["a", "StandardScaler", {}], ["a", "LinearRegression", {}]], "pipeline"),
        ([["LinearRegression", {}], ["StandardScaler", {}]], "pipeline[0]"),
        ([["a__b", "StandardScaler", {}], ["LinearRegression", {}]], "pipeline"),
        ([], "pipeline"),
        ([["StandardScaler", {}]] * 101, "pipeline"),
    ],
)
def test_anything_but_an_estimator_is_refused(pipeline: Any, field: str) -> None:
    with pytest.raises(RefusedError) as refused:
        _build(pipeline)
    assert refused.value.field == field


def test_names_may_be_dotted_and_steps_named() -> None:
    assert type(_build([["sklearn.linear_model.Ridge", {"alpha": 2.0}]])).__name__ == "Ridge"
    made = _build([["scale", "StandardScaler", {}], ["LogisticRegression", {"C": 0.5}]])
    assert [name for name, _ in made.steps] == ["scale", "logisticregression"]


def test_every_estimator_that_can_be_stored_can_be_read_back() -> None:
    made = 0
    for name in known():
        try:
            estimator = _build([[name, {}]])
            data = vault.pack(estimator)
        except RefusedError:
            continue
        again = vault.unpack(data)
        assert type(again) is type(estimator)
        made += 1
    assert made > 150


def test_a_foreign_type_in_stored_bytes_is_refused() -> None:
    import skops.io

    class Foreign:
        pass

    Foreign.__module__ = "os"
    data = skops.io.dumps(np.array([1, 2]))
    assert vault.unpack(data).tolist() == [1, 2]
    with pytest.raises(RefusedError):
        vault.pack({"a": _Payload()})


class _Payload:
    """A type of nobody's library."""


def test_rounding_errors_are_tidied_and_nothing_else() -> None:
    noisy = np.array([[-1.8e-15], [1.9999999999999987], [18.0], [0.3]])
    assert models.plain(models.tidied(noisy)) == [0.0, 2.0, 18.0, 0.3]
    small = np.array([1e-16, 3e-16])
    assert models.plain(models.tidied(small)) == [1e-16, 3e-16]
    wide = np.array([1e20, 1.25])
    assert models.plain(models.tidied(wide)) == [1e20, 1.25]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"data": 7}', "data"),
        (b'{"data": {"x": [1]}, "columns": ["y"]}', "columns"),
        (b'{"data": {"x": [[1, 2, 3]]}, "shape": [2, 2]}', "shape"),
        (b'{"data": {"x": [1], "y": [2]}, "shape": [1]}', "shape"),
        (b"{", "body"),
        (b'{"data": {}}', "data"),
    ],
)
def test_bad_inline_rows_are_refused(body: bytes, field: str) -> None:
    with pytest.raises(RefusedError) as refused:
        models.inline(body)
    assert refused.value.field == field


def test_cells_take_the_shape_asked_for() -> None:
    found = models.inline(
        b'{"columns": ["v"], "data": {"v": {"0": [1, 2, 3, 4]}}, "shape": [2, 2]}'
    )
    assert found.tolist() == [[[1, 2], [3, 4]]]


def test_a_model_that_is_not_fitted_says_so(tmp_path: Path) -> None:
    header = {"root": str(tmp_path), "path": "m"}
    models.create(Frame(header, b'{"pipeline": [["LinearRegression", {}]]}'))
    question = {
        "root": str(tmp_path), "model": "m", "action": "predict", "tidy": False, "extra": {},
    }  # fmt: skip
    with pytest.raises(RefusedError, match="not fitted"):
        models.ask(Frame(question, b'{"data": {"x": [1]}}'))
    with pytest.raises(RefusedError, match="no predict_proba"):
        models.ask(Frame({**question, "action": "predict_proba"}, b'{"data": {"x": [1]}}'))
