"""The pages: pods, runs, one run, one worker. Each is whole without its script."""

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

import msgspec

from gristmill.dialects.mlbench.images import BACKENDS, CUSTOM, TEMPLATES
from gristmill.dialects.mlbench.pods import Pod
from gristmill.dialects.mlbench.requests import CUSTOM_BACKEND, LONGEST_NAME
from gristmill.dialects.mlbench.settings import MlbenchSettings
from gristmill.web.markup import Child, Markup, join, tag

_POLICY = (
    b"default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    b"object-src 'none'"
)
HEADERS = (
    (b"content-security-policy", _POLICY),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
ASSETS = {
    "mlbench.js": "text/javascript",
    "mlbench.css": "text/css",
    "mlbench.svg": "image/svg+xml",
}
_PLACEHOLDERS = "{hosts}, {run_id}, {rank} and {backend} are filled in for each rank"


@cache
def asset(name: str) -> bytes:
    """Return a file of the pages."""
    return files(__package__).joinpath("static", name).read_bytes()


@cache
def digest(name: str) -> str:
    """Return what changes when the file does."""
    return hashlib.sha256(asset(name)).hexdigest()[:12]


def pods_page(home: str, pods: Iterable[Pod]) -> Markup:
    """Return a card for each pod. home: the way from the page to the pages' root."""
    cards = [
        tag(
            "article",
            tag("h2", tag("a", pod.name, href=f"{home}worker/{quote(pod.name, safe='')}/")),
            tag(
                "p",
                tag("span", pod.phase, class_="phase", data_phase=pod.phase),
                " ",
                tag("small", pod.ip),
            ),
            tag("div", class_="plots"),
            class_="card",
            data_pod=pod.name,
        )
        for pod in pods
    ]
    return _page("Pods", home, tag("div", cards, id="pods", class_="cards"), page="pods")


def worker_page(home: str, pod: str, names: Sequence[str]) -> Markup:
    """Return the plot of one metric of a pod."""
    return _page(pod, home, _graphs(names), page="worker", pod=pod)


def runs_page(home: str, runs: Iterable[dict[str, Any]], settings: MlbenchSettings) -> Markup:
    """Return the list of runs and the form for a new one."""
    rows = [
        tag(
            "tr",
            tag("td", run["id"]),
            tag("td", tag("a", run["name"], href=f"{home}runs/{run['id']}/")),
            tag("td", run["state"]),
            tag("td", run["num_workers"]),
            tag("td", run["created_at"]),
        )
        for run in runs
    ]
    heads = [tag("th", word) for word in ("Id", "Name", "State", "Workers", "Created")]
    table = tag("table", tag("thead", tag("tr", heads)), tag("tbody", rows, id="runs"))
    return _page("Runs", home, table, _form(home, settings), page="runs")


def run_page(home: str, run: dict[str, Any], names: Sequence[str]) -> Markup:
    """Return all about one run. names: of its metrics."""
    told = run["job_metadata"]
    facts = {
        "Created": run["created_at"],
        "Image": told["image"],
        "Backend": told["backend"],
        "Command": tag("code", told["command"], id="command"),
        "Master": told["master_name"],
        "Pods": ", ".join(name for _, _, name, _ in told["pods"]),
        "State": tag("span", run["state"], id="state"),
    }
    archive = f"{home}api/metrics/{run['id']}/?metric_type=run&format=zip"
    buttons = tag(
        "p",
        tag("a", "Download", href=archive, class_="button", download=True),
        " ",
        tag("button", "Delete", id="delete", class_="danger", type="button"),
    )
    return _page(
        run["name"],
        home,
        tag("dl", [(tag("dt", word), tag("dd", fact)) for word, fact in facts.items()]),
        buttons,
        tag("p", id="problem", role="alert"),
        _tabs(names),
        page="run",
        run=str(run["id"]),
    )


def login_page(home: str, wanted: str, wrong: str = "") -> Markup:
    """Return the form that asks for a token. wanted: the page to go to, below home."""
    token = tag(
        "input", type="password", name="token", required=True, autofocus=True,
        autocomplete="current-password", spellcheck="false",
    )  # fmt: skip
    form = tag(
        "form",
        tag("input", name="user", value="mlbench", autocomplete="username", hidden=True),
        tag("label", "Token", token),
        tag("small", "Made by an administrator with ", tag("code", "gristmill token create"), "."),
        tag("input", type="hidden", name="next", value=wanted),
        tag("p", wrong or None, id="problem", role="alert"),
        tag("p", tag("button", "Log in")),
        method="post",
        action=f"{home}login",
    )
    return _page("Log in", home, form, page="login")


def problem_page(home: str, status: int, text: str) -> Markup:
    """Return what is shown when there is nothing to show."""
    return _page(str(status), home, tag("p", text), page="problem")


def _tabs(names: Sequence[str]) -> Markup:
    words = {"graphs": "Graphs", "stdout": "Stdout", "stderr": "Stderr"}
    chosen = {name: str(name == "graphs").lower() for name in words}
    tabs = [
        tag(
            "button", word, type="button", role="tab", aria_controls=name,
            aria_selected=chosen[name],
        )
        for name, word in words.items()
    ]  # fmt: skip
    return join(
        tag("div", tabs, role="tablist"),
        _graphs(names),
        tag("section", tag("pre"), id="stdout", hidden=True),
        tag("section", tag("pre"), id="stderr", hidden=True),
    )


def _graphs(names: Sequence[str]) -> Markup:
    chooser = tag("select", [tag("option", name, value=name) for name in names], name="metric")
    return tag(
        "section", tag("label", "Metric", chooser), tag("canvas", class_="large"), id="graphs"
    )


def _form(home: str, settings: MlbenchSettings) -> Markup:
    most = max(1, settings.max_workers).bit_length() - 1
    images = [_option(each.title, each.name) for each in TEMPLATES]
    backends = [_option(name, name) for name in BACKENDS]
    shown = msgspec.json.encode([each.shown() for each in TEMPLATES]).decode()
    return tag(
        "form",
        tag("h2", "Add Run"),
        _text("Name", "name", maxlength=LONGEST_NAME, required=True),
        tag("label", "Image", _choice("image_name", [*images, _option("Custom image", CUSTOM)])),
        tag(
            "div",
            _text("Image name", "custom_image_name"),
            _text("Command", "custom_image_command"),
            tag("small", _PLACEHOLDERS),
            id="custom-image",
        ),
        tag("label", "Backend", _choice("backend", [*backends, _option("Custom", CUSTOM_BACKEND)])),
        tag(
            "div",
            _text("Backend name", "custom_backend"),
            _switch("Run on all nodes", "run_all_nodes"),
            id="custom-backend",
        ),
        tag("div", _switch("GPU", "gpu_enabled"), id="gpu"),
        _switch("Light goal", "light_target"),
        tag("div", _switch("Horovod", "use_horovod"), id="horovod"),
        _slider("Workers", "workers_power", "workers", least=0, most=most, value=0),
        _slider("CPUs of each", "num_cpus", "cpus", least=1, most=_whole(settings.worker_max_cpu)),
        _slider(
            "Mbit/s of each", "max_bandwidth", "bandwidth", least=1,
            most=_whole(settings.max_bandwidth), value=_whole(min(1000.0, settings.max_bandwidth)),
        ),
        tag("p", id="problem", role="alert"),
        tag("p", tag("button", "Add Run")),
        tag("script", Markup(shown.replace("<", "\\u003c")), type="application/json", id="images"),
        id="add",
        method="post",
        action=f"{home}api/runs/",
    )  # fmt: skip


def _whole(value: float) -> int:
    return max(1, int(value))


def _option(text: str, value: str) -> Markup:
    return tag("option", text, value=value)


def _choice(name: str, options: Sequence[Markup]) -> Markup:
    return tag("select", options, name=name)


def _text(label: str, name: str, **more: int | bool) -> Markup:
    return tag("label", label, tag("input", type="text", name=name, autocomplete="off", **more))


def _switch(label: str, name: str) -> Markup:
    box = tag("input", type="checkbox", name=name, value="true")
    return tag("label", box, label, class_="inline")


def _slider(label: str, name: str, shown: str, *, least: int, most: int, value: int = 1) -> Markup:
    slider = tag("input", type="range", name=name, min=least, max=max(most, least), value=value)
    return tag("label", tag("span", f"{label}: ", tag("output", value, id=shown)), slider)


def _page(title: str, home: str, *content: Child, page: str, **data: str) -> Markup:
    links = (("pods", home, "Pods"), ("runs", f"{home}runs", "Runs"))
    nav = [
        tag("a", text, href=href, aria_current="page" if name == page else None)
        for name, href, text in links
    ]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{title} · MLBench"),
        tag("link", rel="icon", type="image/svg+xml", href=_address(home, "mlbench.svg")),
        tag("link", rel="stylesheet", href=_address(home, "mlbench.css")),
        tag("script", src=_address(home, "mlbench.js"), defer=True),
    )
    named = {f"data_{name}": value for name, value in data.items()}
    body = tag(
        "body",
        tag("header", nav),
        tag("main", tag("h1", title), *content),
        data_home=home,
        data_page=page,
        **named,
    )
    return join(Markup("<!doctype html>"), tag("html", head, body, lang="en"))


def _address(home: str, name: str) -> str:
    return f"{home}static/{name}?v={digest(name)}"
