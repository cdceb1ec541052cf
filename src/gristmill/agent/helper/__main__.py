"""``python -m gristmill.agent.helper FOLDER``: carry out the plan that lies there."""

import os
import sys

import msgspec

from gristmill.agent.helper.plans import (
    ANSWER,
    PLAN,
    Answer,
    Find,
    Plan,
    Snapshot,
    StageIn,
    StageOut,
)


def main(folder: str) -> None:
    """Read the plan, do it, and leave the answer."""
    with open(os.path.join(folder, PLAN), "rb") as file:
        plan: Plan = msgspec.msgpack.decode(file.read(), type=Plan)
    answer = _carry_out(plan)
    with open(os.path.join(folder, ANSWER), "wb") as file:
        file.write(msgspec.msgpack.encode(answer))


def _carry_out(plan: Plan) -> Answer:
    # What a plan does not need is not imported: each job that stages pays for it.
    if isinstance(plan, StageIn):
        from gristmill.agent.helper.stage_in import stage_in

        return stage_in(plan)
    if isinstance(plan, StageOut | Find | Snapshot):
        from gristmill.agent.helper.stage_out import find, snapshot, stage_out

        if isinstance(plan, Find):
            return find(plan)
        return snapshot(plan) if isinstance(plan, Snapshot) else stage_out(plan)
    from gristmill.agent.helper.images import pull

    return pull(plan)


if __name__ == "__main__":
    main(sys.argv[1])
