"""The Open Inference Protocol, version 2: tensors in, tensors out."""

from typing import Any

import msgspec
import numpy as np
import pandas as pd

from gristmill.workers.blobs import blobs_at
from gristmill.workers.estimators import reads_text
from gristmill.workers.models import run
from gristmill.workers.refusals import RefusedError
from gristmill.workers.vault import VAULT
from gristmill.workers.wire import Frame

DATATYPES = {
    "BOOL": "bool",
    **{f"{u}INT{bits}": f"{u.lower()}int{bits}" for u in ("", "U") for bits in (8, 16, 32, 64)},
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "object",
}
_NAMES = {np.dtype(name): word for word, name in DATATYPES.items() if word != "BYTES"}


class Tensor(msgspec.Struct):
    """One input."""

    name: str
    shape: list[int]
    datatype: str
    data: Any = None
    parameters: dict[str, Any] = {}


class WantedOutput(msgspec.Struct):
    """One output that a client asks for, by the name of an action."""

    name: str


class Request(msgspec.Struct):
    """The body of infer."""

    inputs: list[Tensor]
    id: str | None = None
    outputs: list[WantedOutput] = []
    parameters: dict[str, Any] = {}


def infer(question: Frame) -> Frame:
    """Answer one inference request."""
    header = question.header
    try:
        request = msgspec.json.decode(question.body, type=Request)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$.")
        raise RefusedError(text, place.rstrip("`") or "body") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(f"the body is not valid JSON: {error}", "body") from error
    if not request.inputs:
        raise RefusedError("must have at least one input", "inputs")
    root = header["root"]
    estimator = VAULT.get(blobs_at(root), root, header["model"])
    rows = _rows(request.inputs, estimator)
    wanted = [each.name for each in request.outputs] or ["predict"]
    outputs = [_output(estimator, name, rows) for name in wanted]
    reply: dict[str, Any] = {**header["extra"], "outputs": outputs}
    if request.id is not None:
        reply["id"] = request.id
    return Frame({}, msgspec.json.encode(reply))


def _rows(inputs: list[Tensor], estimator: Any) -> Any:
    arrays = [_array(tensor, number) for number, tensor in enumerate(inputs)]
    if reads_text(estimator):
        return arrays[0].ravel().tolist()
    names = getattr(estimator, "feature_names_in_", None)
    if len(arrays) == 1 and arrays[0].ndim >= 2:
        table = arrays[0]
        if names is None or table.ndim != 2 or table.shape[1] != len(names):
            return table
        return pd.DataFrame(table, columns=names)
    lengths = {array.shape[0] if array.ndim else 0 for array in arrays}
    if len(lengths) != 1 or any(array.size != array.shape[0] for array in arrays):
        raise RefusedError("several inputs must be columns of one length", "inputs")
    frame = pd.DataFrame({t.name: a.ravel() for t, a in zip(inputs, arrays, strict=True)})
    if names is None:
        return frame.to_numpy()
    if set(names) == set(frame.columns):
        return frame[list(names)]
    return frame.set_axis(names, axis=1) if len(names) == frame.shape[1] else frame


def _array(tensor: Tensor, number: int) -> Any:
    field = f"inputs[{number}]"
    dtype = DATATYPES.get(tensor.datatype)
    if dtype is None:
        raise RefusedError(f"there is no datatype {tensor.datatype[:20]!r}", f"{field}.datatype")
    if any(extent < 0 for extent in tensor.shape):
        raise RefusedError("must not be negative", f"{field}.shape")
    try:
        return np.asarray(tensor.data, dtype=dtype).reshape(tensor.shape)
    except (ValueError, TypeError, OverflowError) as error:
        raise RefusedError(str(error)[:300], f"{field}.data") from error


def _output(estimator: Any, name: str, rows: Any) -> dict[str, Any]:
    action = name if name in {"predict_proba", "decision_function", "transform"} else "predict"
    method = getattr(estimator, action, None)
    if method is None:
        raise RefusedError(f"{type(estimator).__name__} has no {action}", "outputs")
    found = run(method, rows)
    array = np.asarray(found.toarray() if hasattr(found, "toarray") else found)
    datatype = _NAMES.get(array.dtype, "BYTES")
    return {
        "name": name,
        "shape": list(array.shape),
        "datatype": datatype,
        "data": array.ravel().tolist(),
    }
