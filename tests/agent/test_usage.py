import os
import signal

from gristmill.agent.census import members_of
from gristmill.agent.killing import stop_and_kill
from gristmill.agent.usage import Sampler
from gristmill.domain.clock import Chance
from tests.agent.trees import Household, await_that

FORKING = (
    "import os, sys, time\n"
    "kept = b'x' * (50 << 20)\n"
    "for _ in range(4):\n"
    "    if not os.fork(): time.sleep(1000)\n"
    "print(flush=True); time.sleep(1000)\n"
)


def test_memory_that_is_shared_counts_once() -> None:
    with Household() as house:
        member = house.spawn(FORKING, python=True)
        usage = Sampler(Chance()).sample([member])[member.marker]
        assert usage.processes == 5
        assert 50 <= usage.memory_mb < 100


def test_the_peak_is_remembered() -> None:
    script = (
        "import signal, time\n"
        "kept = [b'x' * (80 << 20)]\n"
        "signal.signal(signal.SIGUSR1, lambda *_: kept.clear())\n"
        "print(flush=True)\n"
        "while True: time.sleep(0.01)\n"
    )
    with Household() as house:
        member = house.spawn(script, python=True)
        sampler = Sampler(Chance())
        first = sampler.sample([member])[member.marker]
        assert first.memory_mb >= 80
        assert sampler.over_memory(member, 70)
        os.kill(member.main.pid, signal.SIGUSR1)
        await_that(
            lambda: sampler.sample([member])[member.marker].memory_mb < 70, "memory is given back"
        )
        assert sampler.usage(member).peak_memory_mb >= 80
        assert not sampler.over_memory(member, 70)
        os.kill(member.main.pid, signal.SIGKILL)
        os.waitpid(member.main.pid, 0)
        last = sampler.sample([member])[member.marker]
        assert (last.memory_mb, last.processes) == (0, 0)
        assert last.peak_memory_mb >= 80
        sampler.forget(member)
        assert sampler.usage(member).peak_memory_mb == 0


def test_a_tree_over_its_memory_is_noticed_by_looking() -> None:
    eaters = "import time\nkept = b'x' * (40 << 20)\nprint(flush=True)\ntime.sleep(1000)\n"
    with Household() as house:
        member = house.spawn(f"import os, time\nos.fork()\n{eaters}", python=True, wait_for=2)
        sampler = Sampler(Chance())
        sampler.sample([member])
        assert sampler.over_memory(member, 60)
        assert not sampler.over_memory(member, 200)


def test_cpu_time_survives_the_processes_that_used_it() -> None:
    burn = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done"
    script = f"(setsid sh -c '{burn}; echo; exec sleep 1000' &); sh -c '{burn}'; echo; sleep 1000"
    with Household() as house:
        member = house.spawn(script, wait_for=2)
        sampler = Sampler(Chance())
        before = sampler.sample([member])[member.marker]
        assert before.processes >= 2
        assert before.cpu_seconds > 0
        stop_and_kill(lambda: members_of(member))
        await_that(lambda: sampler.sample([member])[member.marker].processes == 0, "all have ended")
        assert sampler.usage(member).cpu_seconds >= before.cpu_seconds


def test_sampling_slows_down_rather_than_take_more_than_its_share() -> None:
    now = [0.0]

    def monotonic() -> float:
        now[0] += 0.05
        return now[0]

    with Household() as house:
        member = house.spawn("echo; exec sleep 1000")
        slow, fast = Sampler(Chance(), spent=monotonic), Sampler(Chance())
        slow.sample([member])
        fast.sample([member])
        assert slow.pause >= 2.5
        assert fast.pause == 1.0


def test_an_exact_look_is_not_repeated_too_soon() -> None:
    now = [0.0]

    def monotonic() -> float:
        now[0] += 1.0
        return now[0]

    with Household() as house:
        member = house.spawn(FORKING, python=True)
        sampler = Sampler(Chance(monotonic=monotonic), spent=monotonic)
        first = sampler.sample([member])[member.marker]
        sampler._records[member.marker].peak = 0
        assert sampler.sample([member])[member.marker].memory_mb == first.memory_mb
        assert sampler.usage(member).peak_memory_mb == 0
