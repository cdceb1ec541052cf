"""Tokens of a real identity provider, over real connections."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from gristmill.domain.errors import NotAuthenticatedError, ProviderUnreachableError
from gristmill.domain.identity import Identity
from gristmill.services.declarations import Declarations
from gristmill.services.keyring import open_keyring
from gristmill.services.oidc import OPAQUE_LIFETIME, Oidc, ProviderRules
from gristmill.services.tokens import Tokens
from gristmill.store.database import Database
from tests.services.mill import Clock
from tests.services.provider import Provider, running_provider

MEMBER = "urn:mace:egi.eu:group:vo.fusion.eu:role=member#aai.egi.eu"
VM = "urn:mace:egi.eu:group:vo.fusion.eu:role=vm_operator#aai.egi.eu"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


class Door:
    """Our side of the door: tokens in, people out."""

    def __init__(self, database: Database, home: Path, rules: ProviderRules) -> None:
        self.clock, self.database = Clock(), database
        self.keyring = open_keyring(home, self.clock.chance)
        self._rules, self._loop = rules, asyncio.Runner()
        self.oidc = Oidc(rules, self.clock.chance)
        self.tokens = Tokens(database, self.clock.chance, self.keyring, oidc=self.oidc)

    def come_in(self, token: str) -> Identity:
        return self._loop.run(self.tokens.verify_bearer(token))

    def is_refused(self, token: str) -> bool:
        with pytest.raises(NotAuthenticatedError) as refused:
            self.come_in(token)
        return not isinstance(refused.value, ProviderUnreachableError)

    def own_token(self, user: str) -> str:
        return self._loop.run(self.tokens.create(user)).secret_text

    def apply(self, text: str) -> None:
        declarations = Declarations(self.database, self.keyring.box, self.tokens.forget)
        self._loop.run(declarations.apply(text))

    def close(self) -> None:
        self._loop.run(self.oidc.close())
        self._loop.close()


@pytest.fixture
def door(database: Database, tmp_path: Path, provider: Provider) -> Iterator[Door]:
    opened = Door(database, tmp_path, ProviderRules(issuer=provider.url))
    yield opened
    opened.close()


def test_the_provider_says_who_it_is(door: Door, provider: Provider) -> None:
    token = provider.log_in(
        "s-1", preferred_username="ann", email="ann@example.org", groups=["physics", "a,b", 7]
    )
    who = door.come_in(token)
    assert (who.user, who.groups, who.email) == ("ann", ("physics",), "ann@example.org")
    assert not who.admin
    assert door.come_in(provider.log_in("s-2", email="odd")).user == "s-2"
    entitled = provider.log_in("s-3", eduperson_entitlement=[VM, MEMBER, "urn:other"])
    assert door.come_in(entitled).groups == ("vo.fusion.eu",)


def test_a_good_answer_is_believed_for_its_time_only(door: Door, provider: Provider) -> None:
    token = provider.log_in("s-4", preferred_username="ben")
    assert door.come_in(token).user == "ben"
    provider.revoke("s-4")
    door.clock.go(OPAQUE_LIFETIME - 1)
    assert door.come_in(token).user == "ben"
    door.clock.go(2)
    assert door.is_refused(token)


def test_strangers_and_what_is_no_token_are_refused(door: Door) -> None:
    key = OctKey.generate_key(256)
    past = {"exp": int(door.clock.wall) - 1}
    expired = jwt.encode({"alg": "HS256"}, past, key)
    for token in ("x", "a.b.c", expired, "ü", "a b", "", "x" * 20_000, "\r\nHost: other"):
        assert door.is_refused(token)


def test_our_own_tokens_never_go_out(door: Door) -> None:
    assert door.come_in(door.own_token("cleo")).user == "cleo"
    assert door.come_in(door.keyring.admin_token).admin


def test_nobody_becomes_our_administrator_from_outside(door: Door, provider: Provider) -> None:
    assert door.is_refused(provider.log_in("s-5", preferred_username="admin"))
    door.apply("users: [{name: root, admin: true}, {name: gone, enabled: false}]")
    assert not door.come_in(provider.log_in("s-6", preferred_username="root")).admin
    assert door.is_refused(provider.log_in("s-7", preferred_username="gone"))
    assert door.is_refused(provider.log_in("s-8", preferred_username="has:colon"))


def test_all_entitlements_of_one_rule_are_needed(
    database: Database, tmp_path: Path, provider: Provider
) -> None:
    rules = ProviderRules(issuer=provider.url, entitlements=(f"{MEMBER},{VM}", "urn:else"))
    door = Door(database, tmp_path, rules)
    assert door.come_in(provider.log_in("s-9", entitlements=[MEMBER, VM])).user == "s-9"
    assert door.come_in(provider.log_in("s-10", entitlements=["urn:else"])).user == "s-10"
    assert door.is_refused(provider.log_in("s-11", entitlements=[MEMBER]))
    assert door.is_refused(provider.log_in("s-12", entitlements=[]))
    door.close()


def test_a_provider_that_is_away_is_another_matter(database: Database, tmp_path: Path) -> None:
    door = Door(database, tmp_path, ProviderRules(issuer="http://127.0.0.1:9"))
    with pytest.raises(ProviderUnreachableError):
        door.come_in("some-token")
    assert door.come_in(door.keyring.admin_token).admin
    door.close()
