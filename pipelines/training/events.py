"""The driver's end of a training: it receives the workers' messages, informs a listener, and sends instructions."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import ray

from pipelines.training.channel import Instructions
from pipelines.training.heartbeat import StandingStill
from pipelines.training.listener import TrainingListener
from pipelines.training.reports import EpochReport, Started, StepReport
from schemas.errors import RunFailed, UserError

log = logging.getLogger(__name__)
# The driver asks for new messages at this interval, s.
POLLING_INTERVAL_S = 0.1


class Control:
    """Controls a training while it runs; may be used from any thread.

    Args:
        epochs: Train up to this epoch, then wait until `allow` raises it; None: train to the end.
    """

    def __init__(self, epochs: int | None = None) -> None:
        self.instructions = Instructions(epochs=epochs)

    def allow(self, epochs: int) -> None:
        """Let the training continue up to this epoch."""
        self.instructions = replace(self.instructions, epochs=epochs)

    def stop(self) -> None:
        """End the training within some steps; its result is that of the last saved epoch."""
        self.instructions = replace(self.instructions, stop=True)


class Outcome:
    """The driver's knowledge of a training, from its workers' messages.

    Attributes:
        epochs: Every finished epoch, including those of earlier runs of the same training.
        failure: The error for which the workers gave up; None without one.
        listener_error: The exception that the listener raised, for which the training was stopped; None without one.
    """

    def __init__(self) -> None:
        self.epochs: list[EpochReport] = []
        self.failure: UserError | RunFailed | None = None
        self.listener_error: Exception | None = None

    def take(self, message: object, listener: TrainingListener) -> None:
        """Record a worker's message, and inform the listener."""
        if isinstance(message, Started):
            listener.started(len(message.history))
            for report in message.history:
                self.take(report, listener)
        elif isinstance(message, StepReport):
            listener.step(message)
        elif isinstance(message, StandingStill):
            log.warning("%s", message)
        elif isinstance(message, UserError | RunFailed):
            # The first failure is kept, because those of other workers may follow from it.
            self.failure = self.failure or message
        # Replacement workers repeat the epochs that were not saved, with the same results, so the first report counts.
        elif isinstance(message, EpochReport) and message.epoch > len(self.epochs):
            self.epochs.append(message)
            listener.epoch(message)


@contextmanager
def listening(channel: Any, listener: TrainingListener, control: Control) -> Iterator[Outcome]:
    """Receive messages in a thread until the block ends and none is left; send the instructions of `control`."""
    outcome, ended = Outcome(), threading.Event()

    def listen() -> None:
        # The first value is None, so that instructions are sent: `control` may have changed since the channel was made.
        sent, is_last = None, False
        while not is_last:
            is_last = ended.wait(POLLING_INTERVAL_S)
            if sent != control.instructions:
                sent = control.instructions
                channel.instruct.remote(sent)
            for message in ray.get(channel.receive.remote()):
                outcome.take(message, listener)

    def listen_or_stop() -> None:
        try:
            listen()
        except Exception as error:  # without a listener nobody would notice how the training continues
            outcome.listener_error = error
            channel.instruct.remote(replace(control.instructions, stop=True))

    thread = threading.Thread(target=listen_or_stop, name="training-listener")
    thread.start()
    try:
        yield outcome
    finally:
        ended.set()
        thread.join()
        ray.kill(channel)
        if outcome.listener_error is not None:
            raise outcome.listener_error
