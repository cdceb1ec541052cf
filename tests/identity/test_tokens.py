import asyncio
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey

from gristmill.domain.clock import Chance
from gristmill.domain.errors import InvalidInputError, NotAuthenticatedError, NotFoundError
from gristmill.services.keyring import Keyring, open_keyring
from gristmill.services.tokens import Tokens, parse_expires
from gristmill.store.database import Database, open_database
from tests.identity.steered import Clock

sqlite_is_enough = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what is refused before a database hears of it."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return open_keyring(tmp_path, Chance())


@pytest.fixture
def tokens(database: Database, clock: Clock, keyring: Keyring) -> Tokens:
    return Tokens(database, clock.chance(), keyring)


def refused(verify: Callable[[], Coroutine[Any, Any, object]]) -> None:
    with pytest.raises(NotAuthenticatedError):
        asyncio.run(verify())


def test_a_jwt_carries_what_its_clients_read(
    tokens: Tokens, keyring: Keyring, clock: Clock
) -> None:
    created = asyncio.run(
        tokens.create(
            "nobody-declared", groups=["g1", "g2"], email="n@example.org", claims={"job": "17"}
        )
    )
    key = OctKey.import_key(keyring.signing_key)
    claims = jwt.decode(created.secret_text, key, algorithms=["HS256"]).claims
    assert claims == {
        "username": "nobody-declared", "groups": "g1,g2", "email": "n@example.org",
        "scope": "read write", "job": "17", "jti": created.id,
        "iat": int(clock.time), "exp": int(clock.time + 30 * 86400),
    }  # fmt: skip
    identity = asyncio.run(tokens.verify_bearer(created.secret_text))
    assert identity.user == "nobody-declared"
    assert identity.groups == ("g1", "g2")
    assert identity.scopes == {"read", "write"}
    assert not identity.admin
    assert identity.token_id == created.id


def test_claims_of_the_caller_never_replace_ours(tokens: Tokens) -> None:
    created = asyncio.run(tokens.create("eve", claims={"username": "admin", "jti": "x"}))
    assert asyncio.run(tokens.verify_bearer(created.secret_text)).user == "eve"


def test_the_admin_token_has_every_right(tokens: Tokens, keyring: Keyring) -> None:
    identity = asyncio.run(tokens.verify_bearer(keyring.admin_token))
    assert (identity.user, identity.admin, identity.may("write")) == ("admin", True, True)


def test_an_admin_scope_makes_an_administrator(tokens: Tokens) -> None:
    created = asyncio.run(tokens.create("root", scopes=["admin"]))
    assert asyncio.run(tokens.verify_bearer(created.secret_text)).admin


def test_a_token_ends_by_itself_even_when_remembered(tokens: Tokens, clock: Clock) -> None:
    created = asyncio.run(tokens.create("alice", expires_in=1))
    asyncio.run(tokens.verify_bearer(created.secret_text))
    clock.time += 1
    refused(lambda: tokens.verify_bearer(created.secret_text))
    assert asyncio.run(tokens.list()) == []


@pytest.mark.parametrize("api_key", [False, True])
def test_a_revoked_token_is_refused_at_once(tokens: Tokens, *, api_key: bool) -> None:
    async def story() -> None:
        created = await tokens.create("alice", api_key=api_key)

        async def verify() -> object:
            if api_key:
                return await tokens.verify_api_key("alice", created.secret_text)
            return await tokens.verify_bearer(created.secret_text)

        await verify()
        assert [record.id for record in await tokens.list()] == [created.id]
        await tokens.revoke(created.id)
        with pytest.raises(NotAuthenticatedError):
            await verify()
        with pytest.raises(NotFoundError):
            await tokens.revoke(created.id)

    asyncio.run(story())


def test_a_revocation_beats_a_verification_under_way(tokens: Tokens) -> None:
    async def story() -> None:
        created = await tokens.create("alice")
        for _ in range(20):
            verifications = [tokens.verify_bearer(created.secret_text) for _ in range(8)]
            tokens.forget()
            await asyncio.gather(*verifications)
        racing = [asyncio.ensure_future(tokens.verify_bearer(created.secret_text))]
        await tokens.revoke(created.id)
        await asyncio.gather(*racing, return_exceptions=True)
        with pytest.raises(NotAuthenticatedError):
            await tokens.verify_bearer(created.secret_text)

    asyncio.run(story())


def test_an_api_key_belongs_to_its_user(tokens: Tokens, database: Database) -> None:
    created = asyncio.run(tokens.create("alice", api_key=True))
    assert created.expires_at is None
    assert asyncio.run(tokens.verify_api_key("alice", created.secret_text)).user == "alice"
    refused(lambda: tokens.verify_api_key("bob", created.secret_text))
    refused(lambda: tokens.verify_api_key("alice", created.secret_text + "x"))
    refused(lambda: tokens.verify_bearer(created.secret_text))
    assert "." not in created.secret_text
    assert not re.fullmatch("[0-9a-fA-F]{40}", created.secret_text)
    rows = asyncio.run(database.read(lambda tx: tx.all("list_tokens")))
    assert created.secret_text not in repr(rows)


def test_a_key_that_looks_like_a_signature_is_drawn_again(
    database: Database, keyring: Keyring
) -> None:
    drawn = iter(["id", "ab" * 20, "AB" * 20, "a-good-key"])
    tokens = Tokens(database, Chance(token=lambda _: next(drawn)), keyring)
    assert asyncio.run(tokens.create("alice", api_key=True)).secret_text == "a-good-key"


def test_tokens_survive_a_restart(database_url: str, tmp_path: Path, keyring: Keyring) -> None:
    def opened() -> tuple[Database, Tokens]:
        database = open_database(database_url, tmp_path)
        database.start()
        return database, Tokens(database, Chance(), open_keyring(tmp_path, Chance()))

    database, tokens = opened()
    created = asyncio.run(tokens.create("alice"))
    database.close()
    database, tokens = opened()
    assert asyncio.run(tokens.verify_bearer(created.secret_text)).user == "alice"
    database.close()


@sqlite_is_enough
@pytest.mark.parametrize(
    "forge",
    [
        lambda key, body: jwt.encode({"alg": "HS256"}, body, OctKey.import_key("x" * 43)),
        lambda key, body: jwt.encode(
            {"alg": "HS512"}, body, OctKey.import_key(key + key), algorithms=["HS512"]
        ),
        lambda key, body: "eyJhbGciOiJub25lIn0.eyJ1c2VybmFtZSI6ImFkbWluIn0.",
        lambda key, body: jwt.encode({"alg": "HS256"}, {}, OctKey.import_key(key)),
        lambda key, body: jwt.encode({"alg": "HS256"}, {"jti": [1]}, OctKey.import_key(key)),
        lambda key, body: jwt.encode({"alg": "HS256"}, {"jti": "gone"}, OctKey.import_key(key)),
    ],
)
def test_forged_tokens_are_refused(
    tokens: Tokens, keyring: Keyring, forge: Callable[[bytes, dict[str, Any]], str]
) -> None:
    created = asyncio.run(tokens.create("alice"))
    body = {"username": "alice", "jti": created.id, "exp": 4_000_000_000}
    refused(lambda: tokens.verify_bearer(forge(keyring.signing_key, body)))


@sqlite_is_enough
@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a.b.c", "é.é.é", "\ud800", "\x00", "x" * 100_000, "[" * 4000 + ".x.y",
     "W1tb" * 1500 + ".e30.e30", "bnVsbA.bnVsbA.bnVsbA", "W10.W10.W10"],
)  # fmt: skip
def test_garbage_is_refused(tokens: Tokens, text: str) -> None:
    refused(lambda: tokens.verify_bearer(text))
    refused(lambda: tokens.verify_api_key(text, text))


@sqlite_is_enough
@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"user": ""}, "user"),
        ({"user": "a:b"}, "user"),
        ({"user": "a\x00"}, "user"),
        ({"user": "x" * 300}, "user"),
        ({"groups": ["a,b"]}, "groups"),
        ({"scopes": ["root"]}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"expires_in": 0}, "expires"),
        ({"expires_in": float("nan")}, "expires"),
        ({"expires_in": 1e12}, "expires"),
        ({"email": "nobody"}, "email"),
    ],
)
def test_bad_wishes_are_named(tokens: Tokens, arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        asyncio.run(tokens.create(**{"user": "alice", **arguments}))
    assert raised.value.field == field
    assert asyncio.run(tokens.list()) == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30d", 30 * 86400), ("12h", 43200), ("1s", 1), ("90", 90), (90, 90), (None, None)],
)
def test_expiry_is_read(text: str | float | None, seconds: float | None) -> None:
    assert parse_expires(text) == seconds


@given(st.text(max_size=20))
def test_expiry_is_a_number_or_an_error(text: str) -> None:
    try:
        seconds = parse_expires(text)
    except InvalidInputError:
        return
    assert seconds is not None
    assert seconds >= 0
