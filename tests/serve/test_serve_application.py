"""The server as its clients meet it, over HTTP; the lifter works in a thread of the test's process."""

import asyncio
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from evaluate.lifter_samples import make_lifter
from serve.test_request_batches import track

from pipelines.serve import application
from pipelines.serve.application import Application
from pipelines.serve.batches import Answer, BatchedLifter
from pipelines.serve.dispatcher import Answered, Dispatcher
from pipelines.serve.figures import Figures
from schemas.configs.serve import ServeConfig


class Served:
    """A server on a free port, its client, and what lets its lifter work."""

    def __init__(self, session, address, application, may):
        self.session, self.address, self.application, self.may = session, address, application, may

    async def post(self, body, **options):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.session.post(f"{self.address}/invocations", data=data, **options) as answer:
            return answer.status, await answer.json(), dict(answer.headers)

    async def get(self, path):
        async with self.session.get(f"{self.address}{path}") as answer:
            return answer.status, await answer.text()


@asynccontextmanager
async def serving(**fields):
    lifter, may = BatchedLifter(*make_lifter(), flip=False), asyncio.Event()
    may.set()

    async def replica(bodies):
        await may.wait()
        return Answered("models:/lifter/3", await asyncio.to_thread(lifter.answer, bodies))

    figures = Figures()
    figures.serve("models:/lifter/3", "ab12")
    dispatcher = Dispatcher([replica], 8, figures.batches.observe)
    application = Application(ServeConfig(**fields), dispatcher, figures, lambda: {"model": "models:/lifter/3"})
    runner = application.runner()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as session:
        yield Served(session, f"http://127.0.0.1:{runner.addresses[0][1]}", application, may)
    await runner.cleanup()
    await dispatcher.close()


def test_poses_figures_and_what_is_served():
    async def scenario():
        async with serving() as server:
            status, answer, headers = await server.post({"inputs": track()})
            assert (status, headers["X-Raylift-Model"]) == (200, "models:/lifter/3")
            assert len(answer["predictions"]["positions"]) == 20
            assert (await server.post(b"{"))[0] == 400
            assert await server.get("/health") == await server.get("/ping") == (200, "\n")
            assert json.loads((await server.get("/model"))[1]) == {"model": "models:/lifter/3"}
            _, figures = await server.get("/metrics")
            for line in (
                'raylift_serve_requests_total{status="200"} 1.0',
                'raylift_serve_requests_total{status="400"} 1.0',
                "raylift_serve_frames_total 20.0",
                "raylift_serve_seconds_count 2.0",
                "raylift_serve_waiting_requests 0.0",
                'raylift_serve_model{model="models:/lifter/3",sha256="ab12"} 1.0',
            ):
                assert line in figures.splitlines()

    asyncio.run(scenario())


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_what_is_not_there_is_one_line(method):
    async def scenario():
        async with serving() as server, server.session.request(method, f"{server.address}/invocations") as answer:
            message = (await answer.json())["error"]
            assert (answer.status, answer.headers["Allow"]) == (405, "POST")
            assert message == (
                f"{method} /invocations: Method Not Allowed; there are POST /invocations, GET /health, /model, /metrics"
            )

    asyncio.run(scenario())


def chunks(size):
    async def pieces():
        for _ in range(size // 100_000):
            yield b" " * 100_000

    return pieces()


@pytest.mark.parametrize("says_its_size", [True, False])
def test_a_request_that_is_too_large_is_refused(says_its_size):
    async def scenario():
        async with serving(max_request_mb=1) as server:
            body = b" " * 1_500_000 if says_its_size else chunks(1_500_000)
            async with server.session.post(f"{server.address}/invocations", data=body) as answer:
                message = (await answer.json())["error"]
                assert answer.status == 413
                assert message.endswith("MB, at most 1 are taken; send it in parts")

    asyncio.run(scenario())


def test_who_comes_when_enough_wait_is_told_to_come_again():
    async def scenario():
        async with serving(max_waiting=2) as server:
            server.may.clear()
            waiting = [asyncio.create_task(server.post({"inputs": track()})) for _ in range(2)]
            while "raylift_serve_waiting_requests 2.0" not in (await server.get("/metrics"))[1]:
                await asyncio.sleep(0.01)
            status, answer, headers = await server.post({"inputs": track()})
            assert (status, headers["Retry-After"]) == (503, "1")
            assert answer == {"error": "2 requests wait already; ask again in 1 s"}
            server.may.set()
            assert [status for status, *_ in await asyncio.gather(*waiting)] == [200, 200]

    asyncio.run(scenario())


def test_an_answer_that_takes_too_long_is_not_waited_for():
    async def scenario():
        async with serving(answer_s=0.05) as server:
            server.may.clear()
            status, answer, _ = await server.post({"inputs": track()})
            assert (status, answer) == (504, {"error": "no answer within 0.05 s; ask for less at a time"})
            server.may.set()

    asyncio.run(scenario())


def test_a_server_that_ends_answers_what_has_come_and_takes_no_more():
    async def scenario():
        async with serving() as server:
            server.may.clear()
            due = asyncio.create_task(server.post({"inputs": track()}))
            while "raylift_serve_waiting_requests 1.0" not in (await server.get("/metrics"))[1]:
                await asyncio.sleep(0.01)
            ending = asyncio.create_task(server.application.end(30.0))
            await asyncio.sleep(0)
            assert (await server.get("/health"))[0] == 503
            assert (await server.post({"inputs": track()}))[:2] == (503, {"error": "the server ends; ask another one"})
            server.may.set()
            assert (await due)[0] == 200
            assert await ending == 0

    asyncio.run(scenario())


def test_what_is_no_http_and_uploads_that_break_off_write_no_log(caplog):
    """A client could fill the disk by them, with 30 lines for each."""
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\n"
    sent = (
        *(b"\0" * 1000, b"\x16\x03\x01\x02\x00\x01", b"\x1b[2J / HTTP/1.1\r\nHost: x\r\n\r\n"),
        *(head + b"Content-Length: -5\r\n\r\n", head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
        *(head + b"Content-Length: 1000\r\n\r\n{", head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10_000,
    )

    async def scenario():
        async with serving() as server:
            host, _, port = server.address.removeprefix("http://").partition(":")
            for content in sent:
                _, writer = await asyncio.open_connection(host, int(port))
                writer.write(content)
                await writer.drain()
                await asyncio.sleep(0.05)
                writer.close()
            await asyncio.sleep(0.2)
            assert (await server.post({"inputs": track()}))[0] == 200

    asyncio.run(scenario())
    assert caplog.text == ""


@pytest.mark.parametrize("head", [b"", b"POST /invocations HTTP/1.1\r\nHo"], ids=["nothing", "half a head"])
def test_a_connection_without_a_whole_head_is_closed(head, monkeypatch):
    """Whether nothing comes or a letter at a time; without a limit each would be kept for an hour."""
    monkeypatch.setattr(application, "IDLE_S", 0.5)

    async def scenario():
        async with serving() as server:
            host, _, port = server.address.removeprefix("http://").partition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(head)
            ended = asyncio.create_task(reader.read())
            for _ in range(100):
                await asyncio.wait([ended], timeout=0.1)
                if ended.done():
                    break
                writer.write(head and b"o")
            assert await asyncio.wait_for(ended, 1) == b""
            writer.close()

    asyncio.run(scenario())


def test_an_answer_that_is_not_taken_waits_and_then_loses_its_connection(monkeypatch):
    """Without a limit, each would keep its memory for as long as its client likes."""
    monkeypatch.setattr(application, "TAKE_S", 1.0)

    async def scenario():
        async with serving(max_waiting=1) as server:

            async def large(body):
                return "models:/lifter/3", Answer(200, b" " * 50_000_000)

            monkeypatch.setattr(server.application._dispatcher, "ask", large)
            host, _, port = server.address.removeprefix("http://").partition(":")
            reader, writer = await asyncio.open_connection(host, int(port), limit=1000)
            writer.write(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
            async with asyncio.timeout(20):
                while "raylift_serve_waiting_requests 1.0" not in (await server.get("/metrics"))[1]:
                    await asyncio.sleep(0.01)
            assert (await server.post(b"{}"))[0] == 503
            async with asyncio.timeout(20):
                while "raylift_serve_waiting_requests 0.0" not in (await server.get("/metrics"))[1]:
                    await asyncio.sleep(0.05)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(50_000_000)
            writer.close()

    asyncio.run(scenario())
