"""One job on one page: what it is, why it is where it is, its attempts and its output."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

from gristmill.domain.dialect import Dialect
from gristmill.domain.job import JobSpec, tasks_of
from gristmill.domain.state import PENDING, TERMINAL, Trigger, allowed
from gristmill.services.queue.views import AttemptView, Listed
from gristmill.web.figures import (
    NOTHING,
    badge,
    bytes_text,
    duration,
    lasted,
    memory,
    number,
    when,
)
from gristmill.web.job_text import task_text
from gristmill.web.layout import post_form
from gristmill.web.markup import Child, Markup, tag
from gristmill.web.output import Look, Source
from gristmill.web.sessions import Visitor

Fact = tuple[str, Child]
_ATTEMPT_TITLES = ("Attempt", "Host", "Began", "Ran for", "Exit", "Peak memory", "CPU", "Remark")


class JobFacts(NamedTuple):
    """What the page tells. panes: each stream's source and what is shown of it."""

    listed: Listed
    attempts: Sequence[AttemptView]
    hostnames: Mapping[int, str]
    why: str
    panes: Sequence[tuple[Source, Look]]


def job_content(facts: JobFacts, visitor: Visitor) -> list[Markup]:
    """Return the page between its frame."""
    return [_title(facts, visitor), _standing(facts), _facts(facts), _tasks(facts.listed.row.spec),
            _attempts(facts), *(_pane(source, look) for source, look in facts.panes)]  # fmt: skip


def _title(facts: JobFacts, visitor: Visitor) -> Markup:
    listed = facts.listed
    head = listed.row.head
    name = tag("span", listed.row.name, class_="name") if listed.row.name else None
    buttons = []
    if allowed(Trigger.CANCEL, head.state) and head.state not in TERMINAL:
        cancel = post_form(f"/ui/jobs/{head.id}/cancel", visitor, "Cancel", class_="danger")
        buttons.append(cancel)
    if allowed(Trigger.RETRY, head.state):
        label = "Run now" if head.state not in TERMINAL else "Run again"
        buttons.append(post_form(f"/ui/jobs/{head.id}/retry", visitor, label))
    return tag(
        "div",
        tag("h1", f"Job {head.id} ", name),
        tag("div", buttons, class_="buttons"),
        class_="title",
        id="title",
        data_live=True,
    )


def _standing(facts: JobFacts) -> Markup:
    state = facts.listed.row.head.state
    return tag(
        "p",
        badge(state),
        " ",
        _why(facts),
        class_="why",
        id="standing",
        aria_live="polite",
        data_live=True,
        data_resting=state in PENDING,
    )


def _why(facts: JobFacts) -> str:
    """Say what the state's own word does not."""
    return "" if facts.why == facts.listed.row.head.state.word else facts.why


def _facts(facts: JobFacts) -> Markup:
    row, words = facts.listed.row, facts.listed.words
    head = row.head
    groups: list[tuple[str, list[Fact]]] = [
        (
            "Times",
            [
                ("Submitted", when(head.created_at)),
                ("Ready", when(head.ready_at) if head.ready_at else None),
                ("Started", when(head.started_at) if head.started_at else None),
                ("Ended", when(head.ended_at) if head.ended_at else None),
                ("Ran for", lasted(head.started_at, head.ended_at) if head.started_at else None),
            ],
        ),
        (
            "Belongs to",
            [
                ("Owner", words.owner),
                ("Group", _group_link(words.group)),
                ("Project", words.project),
                ("Came through", Dialect(head.dialect).word),
                ("Key", tag("code", row.key) if row.key else None),
                ("Labels", ", ".join(f"{key}={value}" for key, value in row.spec.labels.items())),
            ],
        ),
        ("Asks for", _wishes(row.spec, head.priority)),
        (
            "Outcome",
            [
                ("Exit code", None if head.exit_code is None else str(head.exit_code)),
                ("Reason", head.reason),
                ("Failures", number(head.failures) if head.failures else None),
                ("Retries left", number(head.retries_left)),
                ("Host", _host(facts)),
                *_measured(facts),
            ],
        ),
    ]
    blocks = [
        tag("div", tag("h2", title), tag("dl", [_fact(*fact) for fact in entries if fact[1]]))
        for title, entries in groups
    ]
    return tag("section", blocks, class_="facts card", id="facts", data_live=True)


def _fact(name: str, value: Child) -> list[Markup]:
    return [tag("dt", name), tag("dd", value)]


def _group_link(group: str) -> Markup | None:
    if not group:
        return None
    return tag("a", group, href=f"/ui/?{urlencode({'group': group})}", id="group")


def _wishes(spec: JobSpec, priority: int) -> list[Fact]:
    wanted = spec.resources
    return [
        ("CPU", number(wanted.cpus)),
        ("Memory", memory(wanted.memory)),
        ("Disk", memory(wanted.disk) if wanted.disk else None),
        ("GPUs", number(wanted.gpus) if wanted.gpus else None),
        ("Nodes", number(wanted.nodes) if wanted.nodes > 1 else None),
        ("Time limit", duration(wanted.walltime) if wanted.walltime else None),
        ("Priority", str(priority) if priority else None),
        ("Image", tag("code", spec.image) if spec.image else None),
        ("Pool", spec.pool),
        ("Mutex", spec.mutex),
        ("After", ", ".join(f"#{job}" for job in (*spec.after, *spec.after_any)[:20])),
        ("After groups", ", ".join(spec.after_groups)),
    ]


def _host(facts: JobFacts) -> str | None:
    agent = facts.listed.row.head.agent_id
    return None if agent is None else facts.hostnames.get(agent, f"agent {agent}")


def _measured(facts: JobFacts) -> list[Fact]:
    current = [view for view in facts.attempts if view.number == facts.listed.row.head.attempt]
    if not current:
        return []
    first = current[0]
    return [
        ("Process", str(first.pid) if first.pid else None),
        ("Folder", tag("code", first.cwd) if first.cwd else None),
    ]


def _tasks(spec: JobSpec) -> Markup:
    tasks = tasks_of(spec)
    title = "Command" if len(tasks) == 1 else f"{len(tasks)} tasks, one after another"
    texts = [tag("li", tag("pre", task_text(task, spec.image), tabindex="0")) for task in tasks]
    return tag("section", tag("h2", title), tag("ol", texts, class_="tasks"))


def _attempts(facts: JobFacts) -> Markup:
    if not facts.attempts:
        return tag("section", id="attempts", data_live=True)
    head = tag("thead", tag("tr", [tag("th", title, scope="col") for title in _ATTEMPT_TITLES]))
    rows = [_attempt(facts, view) for view in reversed(facts.attempts)]
    table = tag("table", head, tag("tbody", rows), class_="attempts stacked")
    return tag(
        "section",
        tag("h2", "Attempts"),
        tag("div", table, class_="scroll"),
        id="attempts",
        data_live=True,
    )


def _attempt(facts: JobFacts, view: AttemptView) -> Markup:
    job = facts.listed.row.head.id
    rank = f", rank {view.rank}" if _is_gang(facts) else ""
    query = urlencode({"attempt": view.number, "rank": view.rank})
    link = tag(
        "a",
        f"{view.number}{rank}",
        href=f"/ui/jobs/{job}?{query}#stdout",
        id=f"attempt-{view.number}-{view.rank}",
        title="show the output of this attempt",
    )
    exit_code = NOTHING if view.exit_code is None else str(view.exit_code)
    remark = ": ".join(part for part in (view.reason, view.message) if part)
    return tag(
        "tr",
        tag("td", link, data_title="Attempt"),
        tag("td", facts.hostnames.get(view.agent_id, ""), data_title="Host"),
        tag("td", when(view.started_at), data_title="Began"),
        tag("td", lasted(view.started_at, view.ended_at), class_="figure", data_title="Ran for"),
        tag("td", exit_code, class_="figure", data_title="Exit"),
        tag("td", memory(view.peak_memory), class_="figure", data_title="Peak memory"),
        tag("td", duration(view.cpu_seconds), class_="figure", data_title="CPU"),
        tag("td", remark, data_title="Remark"),
    )


def _is_gang(facts: JobFacts) -> bool:
    return any(view.rank for view in facts.attempts)


def _pane(source: Source, look: Look) -> Markup:
    query = urlencode({"attempt": source.attempt, "rank": source.rank})
    base = f"/ui/jobs/{source.job}/{source.stream}"
    title = "Output" if source.stream == "stdout" else "Errors"
    remarks: list[str] = [source.stream]
    if source.attempt > 1 or source.rank:
        remarks.append(f"attempt {source.attempt}")
    if source.rank:
        remarks.append(f"rank {source.rank}")
    if look.skipped:
        remarks.append(f"without the first {bytes_text(look.skipped)}")
    return tag(
        "section",
        tag(
            "h2",
            title,
            tag("span", ", ".join(remarks), class_="aside"),
            tag("a", "Download", href=f"{base}/file?{query}", class_="aside download"),
        ),
        tag(
            "pre",
            tag("span", look.lines),
            tag("span", look.partial),
            class_="output",
            tabindex="0",
            role="region",
            aria_label=f"{title} of the job",
        ),
        id=source.stream,
        data_more=f"{base}/more?{query}",
        data_next=str(look.next),
        data_ended=look.ended,
    )
