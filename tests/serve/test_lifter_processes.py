"""The server with its processes on Ray: a new champion is served, and a lost process is replaced, without losses."""

import asyncio
import json

import aiohttp
import pytest
import ray
from evaluate.lifter_samples import make_lifter
from serve.test_followed_alias import register  # noqa: F401 (a fixture)
from serve.test_request_batches import track

from pipelines.serve import served_model
from pipelines.serve.replicas import Replicas
from pipelines.serve.run import Server
from schemas.configs.serve import ServeConfig

pytestmark = pytest.mark.ray


def test_requests_are_answered_while_the_champion_and_a_process_change(embedded_ray, register, capsys):  # noqa: F811
    register(*make_lifter())
    config = ServeConfig(model="models:/lifter@champion", port=0, replicas=2, look_s=0.05, flip=False)
    served = served_model.load(config.model, None)
    replicas, messages = Replicas(config, served), []

    async def client(session, address, models):
        body = json.dumps({"inputs": track()}).encode()
        while "models:/lifter/2" not in models or len(models) < 40:
            async with session.post(f"{address}/invocations", data=body) as answer:
                assert answer.status == 200, await answer.text()
                models.append(answer.headers["X-Raylift-Model"])

    async def scenario():
        stop = asyncio.Event()
        server = asyncio.create_task(Server(config, served, replicas, messages.append).run(stop))
        while not messages:
            await asyncio.sleep(0.05)
            assert not server.done()
        address = messages[0].partition(" at ")[2].partition(": POST")[0]
        async with aiohttp.ClientSession() as session:
            by_client = [[] for _ in range(3)]
            clients = [asyncio.create_task(client(session, address, each)) for each in by_client]
            await asyncio.sleep(0.1)
            register(*make_lifter(fps=25.0))
            ray.kill(replicas._actors[0], no_restart=False)
            await asyncio.gather(*clients)
            async with session.get(f"{address}/model") as answer:
                assert (await answer.json())["model"] == "models:/lifter/2"
            stop.set()
            await server
        for each in by_client:
            assert sorted(each) == each, "once the new one answers, the old one does no more"
            assert set(each) == {"models:/lifter/1", "models:/lifter/2"}

    try:
        asyncio.run(scenario())
    finally:
        replicas.close()
    assert messages[0].startswith("models:/lifter/1 at http://127.0.0.1:")
    assert messages[1] == "models:/lifter@champion is models:/lifter/2 now"
