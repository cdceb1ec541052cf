"""Status codes: as the interface's document has them, or as release 0.18 sends them."""

from enum import Enum

_LATER_ERRORS = {403: 400, 404: 400, 500: 400}


class Outcome(Enum):
    """How a call that worked ends: its status by default, and in the profile ``flask``."""

    READ = (200, 200)
    CREATED = (201, 201)
    RAN = (201, 200)
    CHANGED = (202, 200)
    STORED = (204, 200)

    def status(self, profile: str) -> int:
        """Return the status in a profile."""
        usual, later = self.value
        return int(later if profile == "flask" else usual)


def error_status(status: int, profile: str, *, deleting_dataset: bool) -> int:
    """Return the status of a refusal in a profile."""
    if profile != "flask" or (status == 404 and deleting_dataset):
        return status
    return _LATER_ERRORS.get(status, status)
