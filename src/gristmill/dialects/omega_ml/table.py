"""The one table of calls: requests are routed by it, and the API document is made from it."""

from typing import NamedTuple

import msgspec

from gristmill.dialects.omega_ml import wire
from gristmill.dialects.omega_ml.keys import ASKED, PREFIXES, Form
from gristmill.dialects.omega_ml.profiles import Outcome

Shape = type[msgspec.Struct]


class Parameter(NamedTuple):
    """A parameter of the query. kind: string, integer or boolean."""

    name: str
    kind: str
    text: str


class Operation(NamedTuple):
    """A call. rule: the action that serve rules know it by; '' when they do not concern it.

    handler: the name of what answers it. open: whether it needs no credential.
    """

    method: str
    resource: str
    form: Form
    word: str
    rule: str
    outcome: Outcome
    handler: str
    summary: str
    reply: Shape | None
    body: Shape | None = None
    parameters: tuple[Parameter, ...] = ()
    asynchronous: bool = False
    open: bool = False

    @property
    def path(self) -> str:
        """The path below ``/api/v1``, its key as a placeholder."""
        key = "{id}" if self.resource == "task" else "{name}"
        if self.form is Form.LIST:
            return f"/{self.resource}/"
        if self.form is Form.ITEM:
            return f"/{self.resource}/{key}/"
        if self.word in PREFIXES.get(self.resource, ()):
            return f"/{self.resource}/{self.word}/{key}/"
        return f"/{self.resource}/{key}/{self.word}/"


PAGE = (
    Parameter("limit", "integer", "objects on a page, 20 unless given; 0 for all, up to 1000"),
    Parameter("offset", "integer", "objects to leave out at the beginning"),
)
_ORIENT = Parameter("orient", "string", "dict, columns, list, records, index, split or tight")
ROWS = (
    _ORIENT,
    Parameter("limit", "integer", "most rows; all unless given"),
    Parameter("skip", "integer", "rows to leave out at the beginning"),
    Parameter("page", "integer", "which page of limit rows, from 1"),
)
_WRITE = (
    Parameter("append", "boolean", "false: in the place of the rows there are"),
    _ORIENT._replace(text="dict, columns, index, records, split or list; wins over the body"),
)
_ASYNC = Parameter("async", "boolean", "answer at once with a task")
_DATAX = Parameter("datax", "string", "a dataset, such as sample[x,y]")
_DATAY = Parameter("datay", "string", "a dataset of labels")
_TAG = Parameter("tag", "string", "a tag for the new version")
_ASK = (_DATAX, _DATAY, _ASYNC)
_CHANGE = (*_ASK, _TAG)

READ, CREATED, RAN = Outcome.READ, Outcome.CREATED, Outcome.RAN
CHANGED, STORED = Outcome.CHANGED, Outcome.STORED
LIST, ITEM, ACTION = Form.LIST, Form.ITEM, Form.ACTION


def _datasets() -> list[Operation]:
    kind = "dataset"
    return [
        Operation("GET", kind, LIST, "", "get", READ, "dataset.list", "List datasets",
                  wire.DatasetPage, None, PAGE),
        Operation("POST", kind, LIST, "", "put", CREATED, "dataset.create",
                  "Write the dataset that the body names", wire.DatasetListed, wire.DatasetBody,
                  _WRITE),
        Operation("GET", kind, ITEM, "", "get", READ, "dataset.read",
                  "Read rows; further parameters are COLUMN=VALUE or COLUMN__OP=VALUE",
                  wire.DatasetContent, None, ROWS),
        Operation("PUT", kind, ITEM, "", "put", STORED, "dataset.write",
                  "Create a dataset, add rows to it, or replace it", None, wire.DatasetBody,
                  _WRITE),
        Operation("DELETE", kind, ITEM, "", "delete", CHANGED, "dataset.delete",
                  "Delete a dataset", None),
    ]  # fmt: skip


def _models() -> list[Operation]:
    kind = "model"
    found = [
        Operation("GET", kind, LIST, "", "metadata", READ, "model.list", "List models",
                  wire.ModelPage, None, PAGE),
        Operation("POST", kind, LIST, "", "create", CREATED, "model.create",
                  "Make a model of scikit-learn's estimators", wire.ModelCreated, wire.ModelBody,
                  (_TAG,)),
        Operation("GET", kind, ITEM, "", "metadata", READ, "model.get",
                  "What is known of a model; with datax, what it predicts", wire.ModelMetadata,
                  None, _ASK, asynchronous=True),
        Operation("DELETE", kind, ITEM, "", "delete", CHANGED, "model.delete", "Delete a model",
                  None),
        Operation("GET", kind, ACTION, "metadata", "metadata", READ, "model.metadata",
                  "What is known of a model", wire.ModelMetadata),
        Operation("GET", kind, ACTION, "versions", "metadata", READ, "model.versions",
                  "List the versions of a model", wire.VersionPage, None, PAGE),
    ]  # fmt: skip
    for word in ASKED:
        for method, outcome in (("PUT", CHANGED), ("GET", READ)):
            found.append(
                Operation(method, kind, ACTION, word, word, outcome, "model.ask",
                          f"Run {word} on datasets or on the rows of the body", wire.ActionReply,
                          wire.InlineBody, _ASK, asynchronous=True)
            )  # fmt: skip
    more = {
        "fit": (),
        "partial_fit": (
            Parameter("classes", "string", "JSON list of all labels, for a classifier's first"),
        ),
        "fit_transform": (),
        "gridsearch": (
            Parameter("parameters", "string", "JSON object of argument to list of values"),
        ),
    }
    for word, parameters in more.items():
        found.append(
            Operation("PUT", kind, ACTION, word, word, CHANGED, "model.change",
                      f"Run {word} and store a new version", wire.ActionReply, None,
                      (*_CHANGE, *parameters), asynchronous=True)
        )  # fmt: skip
    return found


def _jobs() -> list[Operation]:
    kind = "job"
    return [
        Operation("GET", kind, LIST, "", "metadata", READ, "job.list", "List notebooks",
                  wire.JobPage, None, PAGE),
        Operation("POST", kind, ITEM, "", "create", CREATED, "job.write", "Store a notebook",
                  wire.JobView, wire.JobBody),
        Operation("PUT", kind, ITEM, "", "create", CHANGED, "job.write", "Store a notebook",
                  wire.JobView, wire.JobBody),
        Operation("GET", kind, ITEM, "", "metadata", READ, "job.get", "A notebook with its runs",
                  wire.JobView),
        Operation("DELETE", kind, ITEM, "", "delete", CHANGED, "job.delete",
                  "Delete a notebook and its runs", None),
        Operation("POST", kind, ACTION, "run", "run", RAN, "job.run",
                  "Run a copy of a notebook in a fresh kernel", wire.JobView, None, (_ASYNC,),
                  asynchronous=True),
        Operation("GET", kind, ACTION, "results", "results", READ, "job.result",
                  "The executed copy of one run", wire.JobView),
        Operation("GET", kind, ACTION, "export", "export", READ, "job.export",
                  "An executed copy as a page of HTML", wire.JobExport),
    ]  # fmt: skip


def _scripts() -> list[Operation]:
    kind = "script"
    return [
        Operation("GET", kind, LIST, "", "metadata", READ, "script.list", "List scripts",
                  wire.ScriptPage, None, PAGE),
        Operation("GET", kind, ITEM, "", "metadata", READ, "script.get", "A script",
                  wire.ScriptListed),
        Operation("PUT", kind, ITEM, "", "create", CHANGED, "script.write",
                  "Store a script: code, or a source distribution (application/gzip, multipart)",
                  wire.ScriptListed, wire.ScriptBody),
        Operation("DELETE", kind, ITEM, "", "delete", CHANGED, "script.delete", "Delete a script",
                  None),
        Operation("POST", kind, ACTION, "run", "run", RAN, "script.run",
                  "Call a script with the body; parameters of the query are its keywords",
                  wire.ScriptReply, None, (_ASYNC,), asynchronous=True),
        Operation("POST", kind, ITEM, "", "run", RAN, "script.run",
                  "Call a script, as with run behind its name", wire.ScriptReply, None, (_ASYNC,),
                  asynchronous=True),
    ]  # fmt: skip


def _services() -> list[Operation]:
    kind = "service"
    found = [
        Operation(method, kind, form, word, word or method.lower(), outcome, "service.run",
                  f"{words} a stored model, script or notebook; the answer is the bare result",
                  None, None, (_DATAX, _DATAY, _ASYNC), asynchronous=True)
        for form, word, words in (
            (ITEM, "", "Call"),
            *((ACTION, word, f"Call {word} of") for word in (*ASKED, "run")),
        )
        for method, outcome in (("GET", READ), ("POST", RAN), ("PUT", CHANGED),
                                ("DELETE", CHANGED))
    ]  # fmt: skip
    doc = Operation("GET", kind, ACTION, "doc", "doc", READ, "service.doc",
                    "The API document of one service", None)  # fmt: skip
    return [*found, doc]


def _others() -> list[Operation]:
    return [
        Operation("GET", "task", ACTION, "result", "", READ, "task.result", "A task's result",
                  wire.TaskReply),
        Operation("GET", "task", ACTION, "status", "", READ, "task.status", "A task's status",
                  wire.TaskStatus),
        Operation("DELETE", "task", ITEM, "", "", CHANGED, "task.revoke", "End a task",
                  wire.TaskStatus),
        Operation("GET", "config", LIST, "", "", READ, "config.list", "The caller's own settings",
                  wire.ConfigPage, None,
                  (Parameter("user", "string", "whose, for administrators"),
                   Parameter("view", "integer", "0 or 1"),
                   Parameter("qualifier", "string", "of which environment"))),
        Operation("GET", "ping", LIST, "", "", READ, "ping", "The time", wire.Ping, open=True),
    ]  # fmt: skip


OPERATIONS: tuple[Operation, ...] = (
    *_datasets(), *_models(), *_jobs(), *_scripts(), *_services(), *_others(),
)  # fmt: skip
