"""The serve job: load the lifter, start the processes, listen, follow the alias, and end when told to."""

import asyncio
import json
import logging
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from aiohttp import web

from pipelines.register import package
from pipelines.serve import served_model
from pipelines.serve.application import Application
from pipelines.serve.batches import BatchedLifter
from pipelines.serve.dispatcher import Dispatcher
from pipelines.serve.figures import Figures
from pipelines.serve.replicas import Replicas
from pipelines.serve.served_model import Follower, ServedModel
from schemas.configs.serve import ServeConfig
from schemas.errors import RunFailed, UserError

log = logging.getLogger(__name__)

Say = Callable[[str], None]
"""Shows a line of text."""


def serve(config: ServeConfig, say: Say, stop: asyncio.Event | None = None) -> None:
    """Serve a lifter until SIGTERM or Ctrl-C.

    Args:
        config: The config.
        say: Shows a line of text.
        stop: Ends the server too.

    Raises:
        UserError: There is no such lifter, no room for a process, or the port is in use.
        RunFailed: The server of the lifter cannot be reached, or the lifter fails.
    """
    served = served_model.load(config.model, config.trust)
    replicas = Replicas(config, served)
    try:
        asyncio.run(Server(config, served, replicas, say).run(stop))
    finally:
        replicas.close()


class Server:
    """One server.

    Args:
        config: The config.
        served: The lifter.
        replicas: The processes.
        say: Shows a line of text.
    """

    def __init__(self, config: ServeConfig, served: ServedModel, replicas: Replicas, say: Say) -> None:
        self._config, self._served, self._replicas, self._say = config, served, replicas, say
        self._figures = Figures()

    async def run(self, stop: asyncio.Event | None = None) -> None:
        """Serve until told to end; requests that have come by then are answered."""
        stop = stop or asyncio.Event()
        _end_on_signals(stop)
        await self._begin()
        dispatcher = Dispatcher(self._replicas.replicas(), self._config.batch_requests, self._figures.batches.observe)
        application = Application(self._config, dispatcher, self._figures, self._about)
        runner = application.runner(handle_signals=False)
        await runner.setup()
        follower = asyncio.create_task(self._follow())
        try:
            port = await self._listen(runner)
            self._say(
                f"{self._served.name} at http://{self._config.host}:{port}: POST /invocations; GET /health, /model, "
                f"/metrics; {self._replicas.pool}"
            )
            await stop.wait()
            self._say("ending: no more requests are taken, those that have come are answered")
            await application.end(self._config.stop_s)
        finally:
            follower.cancel()
            await runner.cleanup()
            await dispatcher.close()

    async def _begin(self) -> None:
        """Start the processes, and check with an example that they can lift."""
        served = self._served
        lifter = BatchedLifter(served.model, served.card, flip=self._config.flip)
        example = {name: np.asarray(value).tolist() for name, value in package.example_for(lifter.card).items()}
        answered = await self._replicas.begin(json.dumps({"inputs": example}).encode())
        if answered.answers[0].status != web.HTTPOk.status_code:
            raise RunFailed(f"model={served.name}: does not lift an example: {answered.answers[0].body.decode()}")
        self._figures.serve(served.name, served.sha256)
        self._figures.processes.set(self._replicas.pool.size)

    async def _listen(self, runner: web.AppRunner) -> int:
        config = self._config
        site = web.TCPSite(runner, config.host, config.port)
        try:
            await site.start()
        except OSError as error:
            raise UserError(
                f"port={config.port}: cannot listen at {config.host}: {error.strerror or error}; give another port, or "
                "an address of this machine as host"
            ) from error
        return runner.addresses[0][1]

    async def _follow(self) -> None:
        """Switch to the lifter that the alias names now."""
        follower = Follower(self._config.model, self._config.trust, self._served)
        while follower.follows:
            await asyncio.sleep(self._config.look_s)
            model = await asyncio.to_thread(follower.look)
            if model is not None:
                self._replicas.switch(model)
                self._served = model
                self._figures.serve(model.name, model.sha256)
                self._say(f"{self._config.model} is {model.name} now")

    def _about(self) -> dict[str, Any]:
        served = self._served
        lifter = BatchedLifter(served.model, served.card, flip=self._config.flip)
        names = ("lifter", "input_layout", "input_joints", "output_layout", "output_joints", "fps", "trajectory")
        return {
            "model": served.name,
            "sha256": served.sha256,
            **{name: lifter.card[name] for name in names},
            "inputs": package.described_inputs(lifter.card),
        }


def _end_on_signals(stop: asyncio.Event) -> None:
    """Let the first SIGTERM or Ctrl-C end the server in order, and a second one at once."""
    loop = asyncio.get_running_loop()

    def end(number: int) -> None:
        stop.set()
        loop.remove_signal_handler(number)
        signal.signal(number, signal.default_int_handler)

    with suppress(RuntimeError, ValueError):  # only the main thread of a process receives signals
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end, number)
