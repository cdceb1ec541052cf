"""Models: made from a recipe, fitted, asked."""

import warnings
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import orjson
import pandas as pd

from gristmill.workers.blobs import blobs_at
from gristmill.workers.datasets import load_frame
from gristmill.workers.estimators import build, reads_text
from gristmill.workers.frames.manifest import manifest_of
from gristmill.workers.refusals import RefusedError
from gristmill.workers.signatures import check, signature_of
from gristmill.workers.vault import VAULT, pack
from gristmill.workers.wire import Frame, Header

ASKING = ("predict", "predict_proba", "decision_function", "transform", "score")
CHANGING = ("fit", "partial_fit", "fit_transform", "gridsearch")
NOISE = 16 * float(np.finfo(np.float64).eps)
WIDEST_NOISE = 1e-9
"""Rounding errors of a prediction: relative to the largest of them, and at most."""

_encode = msgspec.json.Encoder().encode


class Inline(msgspec.Struct):
    """Rows in the body of a call. shape: of what each cell of the one column holds."""

    data: Any = None
    columns: list[str] | None = None
    shape: list[int] | None = None


def create(question: Frame) -> Frame:
    """Store the unfitted estimator that the body describes."""
    estimator = build(question.body)
    data = pack(estimator)
    signature = signature_of(question.body)
    size = blobs_at(question.header["root"]).write(question.header["path"], data)
    made = {"size": size, "estimator": type(estimator).__name__, "signature": signature}
    return Frame(made, b"")


def ask(question: Frame) -> Frame:
    """Run an action that changes nothing; the body of the answer is JSON with ``result``."""
    header = question.header
    estimator = _estimator(header)
    method = _method(estimator, header["action"], ASKING)
    inputs = _Inputs(header, question.body, estimator)
    arguments = [inputs.x()]
    if header.get("signature") and question.body.strip():
        check(header["signature"], "X", msgspec.json.decode(question.body)["data"])
    if header["action"] == "score":
        y = inputs.y()
        if y is None:
            raise RefusedError("a score needs datay", "datay")
        arguments.append(y)
    result = run(method, *arguments)
    if header["tidy"] and header["action"] == "predict":
        result = tidied(result)
    if header.get("signature"):
        check(header["signature"], "Y", plain(result))
    return Frame({}, _encode({"result": _json(result), **header["extra"]}))


def change(question: Frame) -> Frame:
    """Run an action that makes a new version; its bytes are at ``path`` when this returns."""
    header = question.header
    action = header["action"]
    estimator = _estimator(header)
    # What others may use from memory must not change: this worker's own copy is changed.
    method = _method(estimator, action, CHANGING)
    inputs = _Inputs(header, question.body, estimator)
    arguments: list[Any] = [inputs.x()]
    y = inputs.y()
    if y is not None:
        arguments.append(y)
    keywords = _keywords(header, action)
    result: Any = "ok"
    if action == "gridsearch":
        estimator, result = _search(estimator, arguments, header["params"])
    else:
        returned = run(method, *arguments, **keywords)
        if action == "fit_transform":
            result = plain(returned)
    data = pack(estimator)
    size = blobs_at(header["root"]).write(header["path"], data)
    return Frame({"size": size}, _encode(result))


def _keywords(header: Header, action: str) -> dict[str, Any]:
    classes = header["params"].get("classes")
    if action != "partial_fit" or classes is None:
        return {}
    if not isinstance(classes, list) or not classes:
        raise RefusedError("must be a list of the labels", "classes")
    return {"classes": np.array(classes)}


def _search(estimator: Any, arguments: list[Any], params: dict[str, Any]) -> tuple[Any, Any]:
    from sklearn.model_selection import GridSearchCV

    grid = params.get("parameters")
    if not isinstance(grid, dict) or not all(isinstance(each, list) for each in grid.values()):
        raise RefusedError("must be an object of argument to list of values", "parameters")
    search = run(lambda: GridSearchCV(estimator, grid).fit(*arguments))
    best = {"best_params": search.best_params_, "best_score": plain(search.best_score_)}
    return search.best_estimator_, best


def _estimator(header: Header) -> Any:
    blobs, root, path = blobs_at(header["root"]), header["root"], header["model"]
    return VAULT.get(blobs, root, path)


def _method(estimator: Any, action: str, known: tuple[str, ...]) -> Callable[..., Any]:
    if action not in known:
        raise RefusedError(
            f"there is no action {action[:40]!r}; known: {', '.join(known)}", "action"
        )
    if action == "gridsearch":
        found: Any = estimator.fit
    else:
        found = getattr(estimator, action, None)
    if found is None:
        raise RefusedError(f"{type(estimator).__name__} has no {action}", "action")
    method: Callable[..., Any] = found
    return method


def run(method: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """Call scikit-learn; what it makes of wrong data is the client's to hear."""
    import joblib
    from sklearn.exceptions import NotFittedError

    try:
        with warnings.catch_warnings(), joblib.parallel_config(backend="threading"):
            warnings.simplefilter("ignore")
            return method(*arguments, **keywords)
    except NotFittedError as error:
        raise RefusedError(f"the model is not fitted: {error}", "model") from error
    except (ValueError, TypeError, AttributeError, IndexError, KeyError, ArithmeticError) as error:
        raise RefusedError(f"{type(error).__name__}: {error}"[:2000], "data") from error


class _Inputs:
    """X and y of a call: from datasets, or from the body."""

    def __init__(self, header: Header, body: bytes, estimator: Any) -> None:
        self._header, self._body, self._estimator = header, body, estimator

    def x(self) -> Any:
        """Return X as the estimator wants it. Raises RefusedError when there is none."""
        if self._body.strip():
            return self._fitting(inline(self._body))
        frame = self._dataset("datax")
        if frame is None:
            raise RefusedError("give datax, or rows in the body", "datax")
        return self._fitting(frame)

    def y(self) -> Any:
        """Return y, None when no dataset is named."""
        frame = self._dataset("datay")
        return None if frame is None else frame.to_numpy()

    def _dataset(self, name: str) -> pd.DataFrame | None:
        source = self._header.get(name)
        if source is None:
            return None
        manifest = manifest_of(source["manifest"])
        return load_frame(self._header["root"], manifest, source["select"])

    def _fitting(self, found: Any) -> Any:
        if not isinstance(found, pd.DataFrame):
            return found
        if reads_text(self._estimator):
            return found.iloc[:, 0].astype(object).tolist()
        names = getattr(self._estimator, "feature_names_in_", None)
        if names is None:
            return found if self._header["action"] in CHANGING else _bare(found, self._estimator)
        if list(found.columns) == list(names) or self._header["action"] in CHANGING:
            return found
        if set(found.columns) == set(names):
            return found[list(names)]
        # Named otherwise than what it was fitted with: the order must do.
        return found.set_axis(names, axis=1) if len(found.columns) == len(names) else found


def _bare(frame: pd.DataFrame, estimator: Any) -> Any:
    """Return what an estimator that was fitted without names expects."""
    return frame.to_numpy() if hasattr(estimator, "n_features_in_") else frame


def inline(body: bytes) -> Any:
    """Return the rows of a body: a table, or an array when each cell has a shape."""
    try:
        given = msgspec.json.decode(body, type=Inline)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$.")
        raise RefusedError(text, place.rstrip("`") or "body") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(f"the body is not valid JSON: {error}", "body") from error
    frame = _table(given)
    if given.shape is None:
        return frame
    if frame.shape[1] != 1:
        raise RefusedError("goes with exactly one column", "shape")
    try:
        cells = [np.asarray(cell).reshape(given.shape) for cell in frame.iloc[:, 0]]
        return np.stack(cells)
    except ValueError as error:
        raise RefusedError(str(error), "shape") from error


def _table(given: Inline) -> pd.DataFrame:
    data, columns = given.data, given.columns
    try:
        if isinstance(data, dict):
            frame = pd.DataFrame({name: _cells(given) for name, given in data.items()})
        elif isinstance(data, list) and all(isinstance(row, dict) for row in data):
            frame = pd.DataFrame.from_records(data)
        elif isinstance(data, list) and all(isinstance(row, list) for row in data):
            frame = pd.DataFrame(data, columns=columns)
        else:
            raise RefusedError("must be columns, or a list of rows", "data")
        if columns is not None:
            frame = frame[columns]
    except KeyError as error:
        raise RefusedError(f"data lack columns: {error}", "columns") from error
    except (ValueError, TypeError) as error:
        raise RefusedError(str(error)[:500], "data") from error
    if not len(frame.columns):
        raise RefusedError("holds no columns", "data")
    return frame


def _cells(given: Any) -> "pd.Series[Any]":
    """Return a column. Plain numbers go through NumPy, which is quicker than to look at each."""
    values = list(given.values()) if isinstance(given, dict) else given
    kinds = set(map(type, values)) if isinstance(values, list) else set()
    if len(kinds) == 1 and kinds <= {int, float}:
        array = np.array(values)
        # Integers that need more than 64 bits are left to pandas.
        if array.dtype == kinds.pop():
            return pd.Series(array)
    return pd.Series(values)


def tidied(result: Any) -> Any:
    """Return floats that miss a whole number by no more than rounding errors as that number."""
    if not isinstance(result, np.ndarray) or result.dtype != np.float64 or not result.size:
        return result
    whole = np.rint(result)
    band = min(NOISE * float(np.nanmax(np.abs(result))), WIDEST_NOISE)
    # Adding nothing turns a negative zero into zero.
    return np.where(np.abs(result - whole) <= band, whole, result) + 0.0


def _json(value: Any) -> Any:
    """Return what is encoded as the JSON of a result; numbers of an array are written at once."""
    array = _array(value)
    if array is None or array.dtype.kind not in "biuf" or not array.dtype.isnative:
        return plain(value)
    wide = array.astype(np.float64) if array.dtype.kind == "f" else array
    text = orjson.dumps(np.ascontiguousarray(wide), option=orjson.OPT_SERIALIZE_NUMPY)
    return msgspec.Raw(text)


def _array(value: Any) -> Any:
    """Return an array, flat when it has a single column; None when it is no array."""
    if hasattr(value, "toarray"):
        value = value.toarray()
    if isinstance(value, pd.DataFrame):
        value = value.to_numpy()
    if not isinstance(value, np.ndarray) or not value.ndim:
        return None
    return value.ravel() if value.ndim == 2 and value.shape[1] == 1 else value


def plain(value: Any) -> Any:
    """Return an array or scalar as JSON has it; (n, 1) is flat, NaN is null."""
    array = _array(value)
    if array is not None:
        return array.tolist()
    if isinstance(value, np.ndarray):
        return value.item()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value
