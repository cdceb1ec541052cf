"""What an operator may change."""

from typing import Literal

import msgspec


class OmegaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The interface's settings.

    rules: regular expressions over ``resource/name/action``; one must match for a call to pass.
    profile: whose status codes are spoken. bucket: what the default bucket is called.
    access: ``auto`` answers clients of this machine without a credential for as long as nobody
    has an API key, ``token`` never does. user: of the core, whom such clients stand for.
    patience: seconds a call waits for its task before it answers as if it were asynchronous.
    """

    rules: tuple[str, ...] = ()
    profile: Literal["seed", "flask"] = "seed"
    bucket: str = "store"
    access: Literal["auto", "token"] = "auto"
    user: str = "omega"
    patience: float = 1200.0
