"""What can go wrong, in words a caller can act on."""


class GristmillError(Exception):
    """An error a caller can act on; its text says what to do."""


class InvalidInputError(GristmillError):
    """A value does not fit; nothing was changed.

    field: where the value stood, as a path such as ``jobs[3].resources.cpus``.
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class NotFoundError(GristmillError):
    """The thing named does not exist, or not for this caller."""


class ConflictError(GristmillError):
    """The thing is in a state that does not allow the change."""


class NotAuthenticatedError(GristmillError):
    """No credential, or one that is wrong, revoked or expired."""


class NotPermittedError(GristmillError):
    """The credential is good but does not reach this far."""


class UnavailableError(GristmillError):
    """The store cannot answer now (disk full, database gone); nothing was changed, try again."""


class ProviderUnreachableError(UnavailableError):
    """The identity provider that would know a token does not answer."""
