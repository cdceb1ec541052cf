"""From a member that has ended to the message about it."""

from gristmill.agent.details import details_of
from gristmill.agent.member import Member
from gristmill.agent.slots import KEEP_NOTHING, Keep
from gristmill.domain.outcome import DISK_FULL, NON_ZERO_EXIT, OVER_MEMORY, SIGNALLED
from gristmill.protocol.messages import Finished, Output


def finished(member: Member, now: float, outputs: str, keep: Keep) -> Finished:
    """Build the report, taking the member's output out of its slot.

    outputs: folder for streams too large to travel in the report.
    """
    exit_code = _exit_code(member)
    succeeded = member.succeeded
    stdout, stderr = _collect(member, outputs, keep)
    return Finished(
        member.lease.job,
        member.lease.attempt,
        member.lease.rank,
        member.lease.shape,
        succeeded,
        exit_code,
        "" if succeeded else member.cause or _reason(member, exit_code),
        member.started_at,
        now,
        member.first_pid,
        member.cwd,
        _peak_mb(member),
        max(member.cpu, member.sampled_cpu),
        member.results,
        stdout,
        stderr,
        member.message,
        details_of(member),
        member.disk or 0,
    )


def _exit_code(member: Member) -> int | None:
    """Return the last exit code that was not 0, else the last one there is."""
    if len(member.results) == 1:
        return member.results[0].exit_code
    codes = [result.exit_code for result in member.results if result.exit_code is not None]
    return next((code for code in reversed(codes) if code), codes[-1] if codes else None)


def _peak_mb(member: Member) -> int:
    """Return the peak in whole megabytes, 0 where it was too small and short to be seen."""
    return (max(member.peak_kb, member.sampled_kb) + 1023) // 1024


def _reason(member: Member, exit_code: int | None) -> str:
    wanted = member.need.memory
    if wanted and member.sampled_kb > wanted * 1024:
        return OVER_MEMORY
    if member.no_room:
        return DISK_FULL
    return SIGNALLED if exit_code is not None and exit_code < 0 else NON_ZERO_EXIT


def _collect(member: Member, outputs: str, keep: Keep) -> tuple[Output | None, Output | None]:
    slot = member.slot
    if slot is None:
        return None, None
    name = f"{outputs}/{member.lease.job}.{member.lease.attempt}.{member.lease.rank}"
    if member.spec.keep_output == "failure" and member.succeeded:
        keep = KEEP_NOTHING
    try:
        collected = (
            slot.stdout.collect(f"{name}.out", keep),
            slot.stderr.collect(f"{name}.err", keep),
        )
        if member.ending is not None:
            slot.stdout.discard()
            slot.stderr.discard()
    except OSError as error:
        # The slot is given up with whatever is in it; the job's result must not be.
        member.slot = None
        member.message = member.message or f"output was not kept: {error.strerror}"
        return None, None
    return collected
