"""Jobs that would wait for each other in a circle through groups, found before they are added."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from gristmill.domain.job import JobSpec
from gristmill.services.queue.core import QueueCore
from gristmill.store.database import Transaction
from gristmill.store.words import public

MOST_LINKS = 5_000
LINKS_A_JOB = 10
"""So many links, and so many more for each new job, are followed; a circle beyond is not seen."""

Node = int
"""A job's id, or a group's number with a minus: both are positive."""


def takes_part(spec: JobSpec) -> bool:
    """Whether others may wait for the job through a group, while it waits itself."""
    return bool(spec.dep_groups) and bool(spec.after or spec.after_any or spec.after_groups)


def find_cycle(core: QueueCore, tx: Transaction, new: Sequence[int]) -> tuple[int, str] | None:
    """Return a new job that would wait for itself, and the way round in words; None without any.

    new: jobs that take part, their links written already. A group is waited for by its name, for
    ever, so complete members count: they would wait again. Cancelled ones do not.
    """
    if not new:
        return None
    links = _follow(tx, new, MOST_LINKS + LINKS_A_JOB * len(new))
    circle = _circle(links, new)
    if circle is None:
        return None
    mine = next(node for node in circle if node in set(new))
    at = circle.index(mine)
    names = [
        repr(public(core.words.text(tx, -node))) if node < 0 else f"job {node}"
        for node in circle[at + 1 :] + circle[:at]
        if node < 0 or node not in new
    ]
    return mine, " → ".join(names)


def _follow(tx: Transaction, new: Iterable[int], most: int) -> dict[Node, list[Node]]:
    """Return who waits for whom, from the new jobs on: from what is waited for to who waits."""
    links: defaultdict[Node, list[Node]] = defaultdict(list)
    seen: set[Node] = set(new)
    fresh: list[Node] = list(seen)
    found = 0
    while fresh and found < most:
        rows = _links_of(tx, fresh, most - found)
        found += len(rows)
        fresh = []
        for node, waits in rows:
            links[node].append(waits)
            if waits not in seen:
                seen.add(waits)
                fresh.append(waits)
    return links


def _links_of(tx: Transaction, nodes: Sequence[Node], most: int) -> list[tuple[Node, Node]]:
    jobs = tx.array([node for node in nodes if node > 0])
    groups = tx.array([-node for node in nodes if node < 0])
    links = [(job, -group) for job, group in tx.all("get_dep_groups_of", ids=jobs)]
    links += [(on, job) for on, job in tx.all("get_dependents", ids=jobs)]
    links += [(-group, job) for group, job in tx.all("get_group_waiters", groups=groups, most=most)]
    return links


def _circle(links: dict[Node, list[Node]], starts: Iterable[Node]) -> list[Node] | None:
    """Return the nodes of a circle that can be reached, in order."""
    done: set[Node] = set()
    for start in starts:
        if start in done:
            continue
        path, on_path = [start], {start}
        waiting = [iter(links.get(start, ()))]
        while waiting:
            following = next(waiting[-1], None)
            if following is None:
                waiting.pop()
                node = path.pop()
                on_path.discard(node)
                done.add(node)
            elif following in on_path:
                return path[path.index(following) :]
            elif following not in done:
                path.append(following)
                on_path.add(following)
                waiting.append(iter(links.get(following, ())))
    return None
