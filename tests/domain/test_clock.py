"""Ids that people type."""

import secrets
from itertools import chain, repeat

import pytest

from gristmill.domain.clock import Chance


def test_a_token_never_looks_like_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    made = chain(["-cosYw", "--", "ab-c"], repeat("never"))
    monkeypatch.setattr(secrets, "token_urlsafe", lambda size: next(made))
    assert Chance().token(12) == "ab-c"
