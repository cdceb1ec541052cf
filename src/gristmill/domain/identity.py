"""Who is asking, and how far that reaches."""

import msgspec

READ = "read"
WRITE = "write"
AGENT = "agent"
ADMIN = "admin"
SCOPES = (READ, WRITE, AGENT, ADMIN)
DEFAULT_SCOPES = (READ, WRITE)
ADMIN_USER = "admin"


class Identity(msgspec.Struct, frozen=True):
    """A verified caller. admin: sees and changes everybody's objects.

    job: the running job whose own token this is, 0 for people.
    """

    user: str
    groups: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset(DEFAULT_SCOPES)
    admin: bool = False
    token_id: str = ""
    email: str = ""
    job: int = 0

    def may(self, scope: str) -> bool:
        """Whether the credential carries this scope."""
        return scope in self.scopes or ADMIN in self.scopes
