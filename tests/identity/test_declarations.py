import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from gristmill.domain.clock import Chance
from gristmill.domain.errors import InvalidInputError, NotAuthenticatedError
from gristmill.services.declarations import Applied, Declarations, secret_purpose
from gristmill.services.keyring import Keyring, open_keyring
from gristmill.services.tokens import Tokens
from gristmill.services.users import Users
from gristmill.services.yaml_nodes import plain, read_documents
from gristmill.store.database import Database
from gristmill.store.declarations import State, load_state

EXAMPLE = """\
groups: [viewers, operators]
users:
  - {name: alice, password: s3cret, groups: [viewers, operators], email: alice@example.org}
pools:
  - {name: default, description: "", notify: [], enabled: true, agents: true}
  - {name: outside, agents: false}
workers:
  - {name: w1, pools: [outside], api_key: blue-heron, secret: tulip-garden-42}
projects:
  - name: etl
    viewers: [viewers]
    operators: [operators]
    pools: [default, outside]
    notify: [ops@example.org]
templates:
  - {name: bash, project: etl, body: "#!/bin/sh\\n{{ content|safe }}\\n"}
schedules:
  - name: hourly
    project: etl
    template: bash
    pool: default
    cron: "0 * * * *"
    parent: nightly
  - name: nightly
    project: etl
    template: bash
    pool: outside
    script: echo hello
    every: {count: 1, unit: day}
    first_run: 2026-01-01T03:00:00Z
    exclude: [{from: "12:00", to: "13:00", note: lunch}, {from: 22:00, to: 23:59:59}]
    disable_after_failures: 3
"""


class House:
    def __init__(self, database: Database, keyring: Keyring) -> None:
        self.database = database
        self.keyring = keyring
        self.tokens = Tokens(database, Chance(), keyring)
        self.users = Users(database)
        self.declarations = Declarations(database, keyring.box, self.tokens.forget)

    def apply(self, text: str, *, prune: bool = False, dry_run: bool = False) -> Applied:
        return asyncio.run(self.declarations.apply(text, prune=prune, dry_run=dry_run))

    def state(self) -> State:
        return asyncio.run(self.database.read(load_state))

    def export(self) -> dict[str, Any]:
        loaded: dict[str, Any] = yaml.safe_load(asyncio.run(self.declarations.export())) or {}
        return loaded

    def error(self, text: str, *, prune: bool = False) -> InvalidInputError:
        before = self.state()
        with pytest.raises(InvalidInputError) as raised:
            self.apply(text, prune=prune)
        assert self.state() == before
        return raised.value


@pytest.fixture
def house(database: Database, tmp_path: Path) -> House:
    return House(database, open_keyring(tmp_path, Chance()))


def test_the_example_is_applied_once(house: House) -> None:
    first = house.apply(EXAMPLE)
    assert len(first.created) == 10
    assert "schedule etl/nightly" in first.created
    assert house.apply(EXAMPLE) == Applied([], [], 10, [])
    nightly = {stored.value.name: stored.value for stored in house.state().schedules}["nightly"]
    assert nightly.every is not None
    assert (nightly.every.count, nightly.every.unit) == (1, "day")
    assert nightly.first_run is not None
    assert nightly.first_run.isoformat() == "2026-01-01T03:00:00+00:00"
    assert [(one.start, one.end) for one in nightly.exclude] == [
        ("12:00", "13:00"), ("22:00", "23:59:59"),
    ]  # fmt: skip
    assert (nightly.enabled, nightly.parent, nightly.cron) == (True, None, None)


def test_an_export_holds_everything_but_secrets(house: House, tmp_path: Path) -> None:
    house.apply(EXAMPLE)
    text = asyncio.run(house.declarations.export())
    assert "s3cret" not in text
    assert "tulip" not in text
    assert "argon2" not in text
    assert house.apply(text, prune=True) == Applied([], [], 10, [])
    before = house.state()
    house.apply("{}", prune=True)
    assert house.export() == {}
    assert len(house.apply(text).created) == 10
    after = house.state()
    assert [stored.value for stored in after.schedules] == [
        stored.value for stored in before.schedules
    ]
    assert asyncio.run(house.declarations.export()) == text


def test_a_secret_is_sealed_and_opens(house: House, tmp_path: Path) -> None:
    house.apply(EXAMPLE)
    sealed = house.state().sealed_secrets["w1"]
    assert b"tulip" not in sealed
    assert house.keyring.box.open(sealed, secret_purpose("w1")) == "tulip-garden-42"
    changed = house.apply("workers: [{name: w1, secret: another}]")
    assert changed.updated == ["worker w1"]
    assert house.keyring.box.open(
        house.state().sealed_secrets["w1"], secret_purpose("w1")
    ) == "another"  # fmt: skip


def test_fields_left_out_keep_their_values(house: House) -> None:
    house.apply(EXAMPLE)
    applied = house.apply("projects: [{name: etl, description: new, notify: []}]")
    assert applied == Applied([], ["project etl"], 0, [])
    (project,) = house.export()["projects"]
    assert project["description"] == "new"
    assert project["notify"] == []
    assert project["pools"] == ["default", "outside"]


def test_a_dry_run_says_what_would_be(house: House) -> None:
    assert len(house.apply(EXAMPLE, dry_run=True).created) == 10
    assert house.export() == {}


def test_a_rhythm_takes_the_place_of_the_other(house: House) -> None:
    house.apply(EXAMPLE)
    house.apply('schedules: [{name: nightly, project: etl, cron: "5 4 * * mon-fri"}]')
    house.apply("schedules: [{name: hourly, project: etl, every: {count: 2, unit: hour}}]")
    schedules = {one["name"]: one for one in house.export()["schedules"]}
    assert schedules["nightly"]["every"] is None
    assert schedules["hourly"]["cron"] is None


def test_several_documents_make_one_change(house: House) -> None:
    house.apply("pools: [{name: p}]\n---\nprojects: [{name: x, pools: [p]}]\n")
    error = house.error("pools: [{name: q}]\n---\nprojects:\n- {name: y, pools: [none]}\n")
    assert str(error).startswith("line 4, projects[0].pools: there is no pool 'none'")
    assert error.field == "projects[0].pools"


def test_prune_takes_only_what_apply_made(house: House) -> None:
    house.apply(EXAMPLE)
    asyncio.run(
        house.database.write(
            lambda tx: tx.run(
                "insert_pool", name="by-hand", description="", notify="", enabled=True,
                agents=True, applied=False,
            )
        )
    )  # fmt: skip
    kept = "users: [{name: alice}]\npools: [{name: outside}]\nworkers: [{name: w1}]"
    applied = house.apply(kept, prune=True)
    assert applied.updated == []
    assert sorted(applied.pruned) == [
        "pool default", "project etl", "schedule etl/hourly", "schedule etl/nightly",
        "template etl/bash",
    ]  # fmt: skip
    names = [stored.value.name for stored in house.state().pools]
    assert names == ["by-hand", "outside"]
    assert house.export()["groups"] == ["operators", "viewers"]


def test_what_is_still_needed_is_not_pruned(house: House) -> None:
    house.apply(EXAMPLE)
    error = house.error("users: [{name: alice}]\nworkers: [{name: w1}]", prune=True)
    assert "there is no pool 'outside'" in str(error)
    asyncio.run(house.database.write(_disown_project))
    error = house.error("{}", prune=True)
    assert "cannot prune pool" in str(error)
    assert error.field == "prune"


def _disown_project(tx: Any) -> None:
    number = tx.must("list_projects")[0]
    tx.run("delete_project_groups", project_id=number)
    connection = tx.run.__self__
    connection.script(f"update project set applied = (1 = 0) where id = {number}")


def test_workers_exchange_their_keys(house: House) -> None:
    house.apply("workers: [{name: a, api_key: one}, {name: b, api_key: two}]")
    house.apply("workers: [{name: a, api_key: two}, {name: b, api_key: one}]")
    house.apply("workers: [{name: c, api_key: one}]", prune=True)
    assert [one["name"] for one in house.export()["workers"]] == ["c"]


def test_parents_move_and_go(house: House) -> None:
    house.apply(EXAMPLE)
    house.apply("schedules: [{name: hourly, project: etl, parent: null}]")
    house.apply("schedules: [{name: nightly, project: etl, parent: hourly}]")
    kept = plain(read_documents(EXAMPLE)[0])
    kept["schedules"] = [{**kept["schedules"][1], "parent": None}]
    applied = house.apply(yaml.safe_dump(kept), prune=True)
    assert applied.pruned == ["schedule etl/hourly"]
    assert applied.updated == ["schedule etl/nightly"]


def test_a_schedule_moves_to_another_template(house: House) -> None:
    house.apply(EXAMPLE)
    move = """\
templates: [{name: zsh, project: etl}]
schedules: [{name: nightly, project: etl, template: zsh}]
"""
    assert house.apply(move).updated == ["schedule etl/nightly"]
    both = """\
schedules:
  - {name: nightly, project: etl, template: bash, pool: default}
  - {name: nightly, project: etl, template: zsh, script: moved}
"""
    applied = house.apply(both)
    assert applied.created == ["schedule etl/nightly"]
    assert applied.updated == ["schedule etl/nightly"]
    text = asyncio.run(house.declarations.export())
    assert house.apply(text).updated == []
    error = house.error("schedules: [{name: nightly, project: etl, script: which}]")
    assert "say which template" in str(error)


def test_people_are_known_at_once(house: House) -> None:
    async def story() -> None:
        token = (await house.tokens.create("alice", groups=["extra"])).secret_text
        before = await house.tokens.verify_bearer(token)
        assert (before.groups, before.admin) == (("extra",), False)
        await house.declarations.apply(
            "users: [{name: alice, password: s3cret, groups: [viewers], admin: true, "
            "email: a@example.org}]"
        )
        after = await house.tokens.verify_bearer(token)
        assert (after.groups, after.admin) == (("extra", "viewers"), True)
        assert after.email == "a@example.org"
        entered = await house.users.verify_password("alice", "s3cret")
        assert (entered.user, entered.groups, entered.admin) == ("alice", ("viewers",), True)
        await house.declarations.apply("users: [{name: alice, password: changed}]")
        for name, password in (("alice", "s3cret"), ("bob", "s3cret"), ("alice", "")):
            with pytest.raises(NotAuthenticatedError):
                await house.users.verify_password(name, password)
        await house.declarations.apply("users: [{name: alice, enabled: false}]")
        with pytest.raises(NotAuthenticatedError, match="disabled"):
            await house.tokens.verify_bearer(token)
        with pytest.raises(NotAuthenticatedError):
            await house.users.verify_password("alice", "changed")

    asyncio.run(story())


sqlite_is_enough = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what is refused before a database hears of it."""

BASE = """\
pools: [{name: p}, {name: q}]
projects: [{name: x, pools: [p]}]
templates: [{name: t, project: x}]
"""


@sqlite_is_enough
@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("[]", "line 1", "must be a mapping"),
        ("jobs: []", "line 1, jobs", "is not known here"),
        ("users: {}", "line 1, users", "must be a list"),
        ("users: [alice]", "line 1, users[0]", "must be a mapping"),
        ("users:\n- name: a\n  nmae: b", "line 3, users[0].nmae", "is not known here"),
        ("users:\n- {name: a, password_hash: b}", "line 2, users[0].password_hash", "not known"),
        ("users:\n- name: 5", "line 2, users[0].name", "put it in quotes"),
        ("users:\n- email: a@b", "line 2, users[0]", "missing required field `name`"),
        ("users:\n- name: a:b", "line 2, users[0].name", "characters"),
        ('users:\n- name: "a\\0"', "line 2, users[0].name", "characters"),
        ("users:\n- name: a\n  email: nobody", "line 3, users[0].email", "characters"),
        ("users:\n- name: a\n  admin: 1", "line 3, users[0].admin", "Expected `bool`"),
        ("users:\n- {name: a, groups: [b, 'c,d']}", "line 2, users[0].groups[1]", "characters"),
        ("users:\n- {name: a}\n- {name: a}", "line 3, users[1].name", "declared twice"),
        ("groups: [a, a]", "line 1, groups[1]", "declared twice"),
        ("groups: [5]", "line 1, groups[0]", "put it in quotes"),
        ("pools:\n- {name: a, agents: .nan}", "line 2, pools[0].agents", "Expected `bool`"),
        (f"pools:\n- {{name: {'x' * 256}}}", "line 2, pools[0].name", "length <= 255"),
        ("workers:\n- {name: w}", "line 2, workers[0].api_key", "is missing"),
        ("workers:\n- {name: w, api_key: 'a:b'}", "line 2, workers[0].api_key", "characters"),
        (
            "workers:\n- {name: v, api_key: k}\n- {name: w, api_key: k}",
            "line 3, workers[1].api_key",
            "already the key of worker v",
        ),
        ("templates:\n- {name: t}", "line 2, templates[0]", "missing required field `project`"),
        ("templates:\n- {name: t, project: y}", "line 2, templates[0].project", "no project 'y'"),
        ("projects:\n- {name: x, pools: [z]}", "line 2, projects[0].pools", "no pool 'z'"),
    ],
)
def test_a_bad_file_changes_nothing(house: House, text: str, place: str, words: str) -> None:
    house.apply(BASE)
    error = house.error(text)
    assert str(error).startswith(f"{place}: ")
    assert words in str(error)


@sqlite_is_enough
@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ("template: t", "pool", "is missing"),
        ("pool: p", "template", "is missing"),
        ("template: u, pool: p", "template", "no template 'u' in its project"),
        ("template: t, pool: q", "pool", "has no pool 'q'"),
        ("template: t, pool: z", "pool", "no pool 'z'"),
        ("template: t, pool: p, parent: s", "parent", "descendant"),
        ("template: t, pool: p, parent: none", "parent", "no schedule 'none'"),
        ("template: t, pool: p, cron: '* * * *'", "cron", "has 4 fields"),
        ("template: t, pool: p, cron: '61 * * * *'", "cron", "'61' is no minute"),
        ("template: t, pool: p, cron: '* * * * *', every: {count: 1, unit: day}", "cron", "either"),
        ("template: t, pool: p, every: {count: 0, unit: day}", "every.count", ">= 1"),
        ("template: t, pool: p, every: {count: 1, unit: year}", "every.unit", "year"),
        (
            "template: t, pool: p, every: {count: 9999999, unit: day}",
            "every.count",
            "",
        ),
        ("template: t, pool: p, first_run: 2026-01-01", "first_run", "RFC3339"),
        ("template: t, pool: p, first_run: 2026-01-01T00:00:00", "first_run", "timezone"),
        ("template: t, pool: p, exclude: [{from: 25:00, to: 26:00}]", "exclude[0].from", "char"),
        (
            "template: t, pool: p, exclude: [{from: 23:00, to: 01:00}]",
            "exclude[0].from",
            "over midnight",
        ),
        ("template: t, pool: p, disable_after_failures: -1", "disable_after_failures", ">= 0"),
        ("template: t, pool: p, notify: [5]", "notify[0]", "put it in quotes"),
    ],
)
def test_a_bad_schedule_is_named(house: House, fields: str, field: str, words: str) -> None:
    house.apply(BASE)
    error = house.error(f"schedules:\n- {{name: s, project: x, {fields}}}")
    assert error.field == f"schedules[0].{field}"
    assert str(error).startswith(f"line 2, schedules[0].{field}: ")
    assert words in str(error)


def test_a_ring_of_parents_is_refused(house: House) -> None:
    rows = "\n".join(
        f"- {{name: s{n}, project: x, template: t, pool: p, parent: s{(n + 1) % 4}}}"
        for n in range(4)
    )
    house.apply(BASE)
    assert "descendant" in str(house.error(f"schedules:\n{rows}"))
    house.apply(f"schedules:\n{rows.replace('parent: s0', 'parent: null')}")
    error = house.error("schedules: [{name: s3, project: x, parent: s0}]")
    assert error.field == "schedules[0].parent"


def test_a_project_keeps_the_pools_of_its_schedules(house: House) -> None:
    house.apply(f"{BASE}schedules: [{{name: s, project: x, template: t, pool: p}}]")
    error = house.error("projects:\n- name: x\n  pools: [q]")
    assert str(error).startswith("line 3, projects[0].pools: must keep 'p'")


def test_applies_at_once_take_turns(house: House) -> None:
    async def story() -> list[Applied]:
        texts = [f"users: [{{name: u, groups: [g{n}]}}]\npools: [{{name: p{n}}}]" for n in range(8)]
        return await asyncio.gather(*(house.declarations.apply(text) for text in texts))

    results = asyncio.run(story())
    assert sum("user u" in result.created for result in results) == 1
    assert len(house.state().pools) == 8


def test_many_objects_are_quick(house: House) -> None:
    pools = "\n".join(f"- {{name: p{n}}}" for n in range(2000))
    assert len(house.apply(f"pools:\n{pools}").created) == 2000
    assert house.apply(f"pools:\n{pools}").unchanged == 2000
