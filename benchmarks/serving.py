"""Requests per second and their times: `raylift serve` and `mlflow models serve`, asked by 1, 8 and 64 clients.

python -m benchmarks.serving http://127.0.0.1:8080 http://127.0.0.1:5001

Both servers run already, on one lifter. A request is a track of 2 s at 50 frames/s.
"""

import asyncio
import json
import sys
import time
from urllib.parse import urlsplit

import aiohttp
import numpy as np

CLIENTS, SECONDS, WARM_UP_S = (1, 8, 64), 10.0, 2.0
FRAMES = 100


def request(joints: int, features: int) -> bytes:
    """A track of somebody who sways."""
    rng, time_s = np.random.default_rng(0), np.arange(FRAMES) / 50
    places = rng.uniform((600, 300), (1300, 800), (joints, 2)) + 20 * np.sin(time_s)[:, None, None]
    if features == 3:
        places = np.concatenate([places, np.full((*places.shape[:2], 1), 0.9)], axis=2)
    track = {"keypoints": places.round(1).tolist(), "width": [1920], "height": [1080], "fps": [50]}
    return json.dumps({"inputs": track}).encode()


async def ask(address: str, body: bytes, clients: int) -> list[float]:
    """The time of each request, s, of those that began after the warm-up."""
    times: list[float] = []
    until = time.monotonic() + WARM_UP_S + SECONDS
    counted_from = time.monotonic() + WARM_UP_S
    headers = {"Content-Type": "application/json"}

    async def client(session: aiohttp.ClientSession) -> None:
        while (began := time.monotonic()) < until:
            async with session.post(f"{address}/invocations", data=body, headers=headers) as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()
            if began >= counted_from:
                times.append(time.monotonic() - began)

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(120)) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    return times


async def main(*addresses: str) -> None:
    """Ask each of the servers; the first one says what it reads."""
    async with aiohttp.ClientSession() as session, session.get(f"{addresses[0]}/model") as answer:
        about = await answer.json()
    features = 3 if about["inputs"]["keypoints"].split(" × ")[2].startswith("3") else 2
    body = request(len(about["input_joints"]), features)
    print(f"{'server':>8}  {'clients':>7}  {'requests/s':>10}  {'median ms':>9}  {'p99 ms':>7}")
    for address in addresses:
        for clients in CLIENTS:
            times = await ask(address, body, clients)
            middle, late = np.percentile(times, (50, 99)) * 1000
            rate, port = len(times) / SECONDS, urlsplit(address).port
            print(f"{port:>8}  {clients:>7}  {rate:>10.1f}  {middle:>9.1f}  {late:>7.1f}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
