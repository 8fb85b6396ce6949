"""Which requests are answered together, and what becomes of those that get no answer."""

import asyncio

import pytest

from pipelines.serve.batches import Answer
from pipelines.serve.dispatcher import Answered, Dispatcher


class Worker:
    """Answers each body with itself, as soon as it is let."""

    def __init__(self):
        self.batches, self.may = [], asyncio.Event()

    async def __call__(self, bodies):
        self.batches.append(list(bodies))
        await self.may.wait()
        if b"bad" in bodies:
            raise RuntimeError("lost")
        return Answered("a lifter", [Answer(200, body) for body in bodies])


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def asked(dispatcher, *bodies):
    tasks = [asyncio.create_task(dispatcher.ask(body)) for body in bodies]
    await settle()
    return tasks


def test_what_comes_while_all_are_busy_is_the_next_batch():
    async def scenario():
        worker, sizes = Worker(), []
        dispatcher = Dispatcher([worker], 3, sizes.append)
        tasks = await asked(dispatcher, b"1", b"2", b"3", b"4", b"5")
        assert worker.batches == [[b"1"]] or len(worker.batches[0]) <= 3
        worker.may.set()
        answers = [answer.body for _, answer in await asyncio.gather(*tasks)]
        assert answers == [b"1", b"2", b"3", b"4", b"5"]
        assert sum(worker.batches, []) == answers  # noqa: RUF017 (five of them)
        assert max(sizes) == 3
        await dispatcher.close()

    asyncio.run(scenario())


def test_several_processes_work_side_by_side():
    async def scenario():
        workers = [Worker(), Worker()]
        dispatcher = Dispatcher(workers, 1, lambda _: None)
        tasks = await asked(dispatcher, b"1", b"2")
        assert [len(worker.batches) for worker in workers] == [1, 1]
        for worker in workers:
            worker.may.set()
        await asyncio.gather(*tasks)
        await dispatcher.close()

    asyncio.run(scenario())


def test_a_lost_batch_is_told_to_its_clients_and_the_next_is_answered():
    async def scenario():
        worker = Worker()
        worker.may.set()
        dispatcher = Dispatcher([worker], 8, lambda _: None)
        with pytest.raises(RuntimeError, match="lost"):
            await dispatcher.ask(b"bad")
        assert (await dispatcher.ask(b"good"))[1].body == b"good"
        await dispatcher.close()

    asyncio.run(scenario())


def test_who_waits_no_more_is_not_worked_for():
    async def scenario():
        worker = Worker()
        dispatcher = Dispatcher([worker], 8, lambda _: None)
        first, *_ = await asked(dispatcher, b"1")
        given_up, kept = await asked(dispatcher, b"2", b"3")
        given_up.cancel()
        await settle()
        worker.may.set()
        await asyncio.gather(first, kept)
        assert worker.batches == [[b"1"], [b"3"]]
        await dispatcher.close()

    asyncio.run(scenario())
