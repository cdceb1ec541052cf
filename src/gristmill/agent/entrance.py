"""Where a member works: a folder of its own, a sandbox, or one that its job names."""

import errno
import os

from gristmill.agent.member import Member
from gristmill.agent.sandboxes import Sandboxes
from gristmill.agent.slots import Scratch
from gristmill.agent.steps import resolve_home
from gristmill.agent.workspace import make_workspace
from gristmill.domain.clock import Chance
from gristmill.domain.job import Workspace
from gristmill.domain.outcome import BAD_WORKDIR

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class Entrance:
    """Gives members their working folders."""

    def __init__(self, scratch: Scratch, sandboxes: Sandboxes, chance: Chance) -> None:
        self._scratch, self._sandboxes, self._chance = scratch, sandboxes, chance

    def enter(self, member: Member) -> bool:
        """Give a member its working folder; False, with the cause noted, when there is none.

        Raises OSError.
        """
        spec = member.spec
        if spec.sandbox:
            member.sandbox = self._sandboxes.make(member)
            member.cwd = member.sandbox.home
            return True
        if spec.cwd is None:
            member.cwd, member.scratch_stamp = self._scratch.take()
            return True
        member.cwd = resolve_home(spec.cwd)
        why = f"no such folder: {member.cwd}"
        if spec.create_cwd:
            try:
                os.makedirs(member.cwd, exist_ok=True)
            except OSError as error:
                if error.errno in NO_ROOM:
                    raise
                why = str(error)
        if not os.path.isdir(member.cwd):
            member.cause, member.message = BAD_WORKDIR, why
            return False
        if spec.workspace is not None:
            self._enter_workspace(member, spec.workspace)
        return True

    def _enter_workspace(self, member: Member, wanted: Workspace) -> None:
        made = make_workspace(member.cwd, wanted.path, self._chance.random)
        member.workspace, member.cwd = made, made.cwd
        member.env["TMPDIR"] = made.tmp
        if wanted.home:
            member.env["HOME"] = made.cwd
