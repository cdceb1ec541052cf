from gristmill.domain.state import JobState
from gristmill.services.queue.claim import PATIENCE
from tests.services.conftest import Play
from tests.services.mill import Mill, spec


def test_priority_then_age(play: Play) -> None:
    async def story(mill: Mill) -> None:
        wishes = [(0, 1), (5, 2), (0, 1), (5, 1), (-1, 1)]
        await mill.submit(*[spec(priority=rank, cpus=cpus) for rank, cpus in wishes])
        agent = await mill.agent(cpus=2)
        ran = []
        while jobs := await agent.lease():
            ran.append(jobs)
            await agent.finish(*jobs)
        assert ran == [[2], [4, 1], [3, 5]]

    play(story)


def test_fractions_of_a_core_add_up_exactly(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(*[spec(cpus=0.1) for _ in range(30)])
        agent = await mill.agent(cpus=1)
        assert len(await agent.lease()) == 10

    play(story)


def test_jobs_without_cpu_are_limited_by_memory_and_number(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(*[spec(cpus=0, memory=100) for _ in range(20)])
        agent = await mill.agent(cpus=3, memory=400)
        assert len(await agent.lease()) == 4
        other = await mill.agent("n2", cpus=3, memory=100_000)
        assert len(await other.lease()) == 6

    play(story)


def test_a_full_node_still_takes_jobs_without_cpu(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(spec(cpus=2), spec(cpus=0), spec(cpus=1))
        agent = await mill.agent(cpus=2)
        assert await agent.lease() == [1, 2]

    play(story)


def test_memory_disk_and_gpus_must_fit(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(
            spec(memory=2_000), spec(disk=10), spec(gpus=1), spec(gpus=2, disk=500, memory=900)
        )
        agent = await mill.agent("plain", memory=1_000)
        assert await agent.lease() == []
        agent = await mill.agent("big", memory=3_000, disk=505, gpus=2)
        assert sorted(await agent.lease()) == [1, 2, 3]
        await agent.finish(1, 2, 3)
        assert await agent.lease() == [4]

    play(story)


def test_what_fits_nowhere_says_so(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job = await mill.one(memory=2_000)
        assert await mill.why(job) == "no agent is connected"
        agent = await mill.agent(memory=1_000)
        assert await mill.why(job) == "asks for more than any connected agent has"
        far = await mill.one(pool="far")
        assert "pool, labels or container" in await mill.why(far)
        small = await mill.one()
        await mill.agents.set_draining(agent.number, draining=True)
        assert await mill.why(small) == "every agent that could run it is draining"
        await mill.agents.set_draining(agent.number, draining=False)
        assert await mill.why(small) == "waits for room on an agent"

    play(story)


def test_pools_keep_jobs_and_agents_together(play: Play) -> None:
    async def story(mill: Mill) -> None:
        plain, default, fast = await mill.submit(spec(), spec(pool="default"), spec(pool="fast"))
        assert await (await mill.agent("a", pools=["fast"])).lease() == [fast]
        assert await (await mill.agent("b")).lease() == [plain, default]

    play(story)


def test_constraints_are_labels_that_must_match(play: Play) -> None:
    async def story(mill: Mill) -> None:
        wanted = await mill.one(constraints={"arch": "arm", "rack": "7"})
        assert await (await mill.agent("a", labels={"arch": "arm"})).lease() == []
        assert await (await mill.agent("b", labels={"arch": "arm", "rack": "8"})).lease() == []
        labels = {"arch": "arm", "rack": "7", "more": "x"}
        assert await (await mill.agent("c", labels=labels)).lease() == [wanted]

    play(story)


def test_containers_go_where_there_is_an_engine(play: Play) -> None:
    async def story(mill: Mill) -> None:
        image = await mill.one(image="debian")
        task = await mill.submit(spec(None, tasks=[{"command": "x", "image": "y"}]))
        assert await (await mill.agent("a")).lease() == []
        agent = await mill.agent("b", runtimes=["process", "container"])
        assert await agent.lease() == [image, *task]

    play(story)


def test_a_large_job_is_not_passed_for_ever(play: Play) -> None:
    async def story(mill: Mill) -> None:
        agent = await mill.agent(cpus=2)
        small = await mill.submit(spec(), spec())
        assert await agent.lease() == small
        large = await mill.one(cpus=2)
        turns = await mill.submit(*[spec() for _ in range(40)])
        passed = 0
        while await mill.state(large) is JobState.READY:
            job = next(iter(agent.holding))
            await agent.finish(job)
            got = await agent.lease()
            passed += len([job for job in got if job in turns])
            mill.clock.go(PATIENCE / 4)
            assert passed < 10, "small jobs keep passing the large one"
        assert large in agent.holding
        assert passed >= 4, "nothing may pass while a job has waited but a moment"

    play(story)


def test_a_large_job_that_is_gone_holds_nobody_up(play: Play) -> None:
    async def story(mill: Mill) -> None:
        agent = await mill.agent(cpus=2)
        await mill.submit(spec(), spec())
        await agent.lease()
        large = await mill.one(cpus=2)
        await agent.finish(1)
        assert await agent.lease() == []
        await mill.cancel(large)
        mill.clock.go(PATIENCE * 3)
        small = await mill.submit(spec())
        assert await agent.lease() == small

    play(story)


def test_a_large_job_keeps_only_agents_free_that_could_run_it(play: Play) -> None:
    async def story(mill: Mill) -> None:
        large, one, two = await mill.submit(spec(cpus=4), spec(), spec())
        tiny = await mill.agent("tiny", cpus=1)
        assert await tiny.lease() == [one]
        await tiny.finish(one)
        mill.clock.go(PATIENCE * 2)
        assert await tiny.lease() == [two]
        assert await (await mill.agent("big", cpus=4)).lease() == [large]

    play(story)


def test_hot_shapes_are_leased_beyond_what_fits(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(*[spec() for _ in range(10)], spec(cpus=2))
        agent = await mill.agent(cpus=2)
        await agent.lease()
        agent.hot = {next(iter(agent.holding.values())).shape: 3}
        assert await agent.lease() == [3, 4, 5]

    play(story)


def test_several_waiting_agents_share_the_work(play: Play) -> None:
    async def story(mill: Mill) -> None:
        agents = [await mill.agent(f"n{n}", cpus=2) for n in range(3)]
        await mill.submit(*[spec() for _ in range(10)])
        got = [job for agent in agents for job in await agent.lease()]
        assert sorted(got) == [1, 2, 3, 4, 5, 6]

    play(story)


def test_a_lost_reply_is_given_again(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(*[spec() for _ in range(8)])
        agent = await mill.agent(cpus=2)
        first = await agent.ask()
        assert await agent.ask(again=True) is first
        assert await agent.lease() == []

    play(story)


def test_a_draining_agent_gets_nothing(play: Play) -> None:
    async def story(mill: Mill) -> None:
        agent = await mill.agent()
        job = await mill.one()
        await mill.agents.set_draining(agent.number, draining=True)
        assert await agent.lease() == []
        await agent.register()
        assert await agent.lease() == [], "drained until somebody says otherwise"
        await mill.agents.set_draining(agent.number, draining=False)
        assert await agent.lease() == [job]

    play(story)
