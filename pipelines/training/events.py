"""The driver's end of a training: who hears how it goes, and who may lead it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

import ray

from pipelines.training.channel import Orders
from pipelines.training.reports import EpochReport, Started, StepReport
from schemas.errors import RunFailed, UserError

# How often the driver hears what its workers said.
LISTENING_INTERVAL_S = 0.1


class Listener(Protocol):
    """Who hears of a training's progress, in a thread of its own."""

    def started(self, epochs_done: int) -> None:
        """Workers begin, or replace others, after so many epochs."""
        ...

    def step(self, at: StepReport) -> None:
        """Heard now and then within an epoch."""
        ...

    def epoch(self, report: EpochReport) -> None:
        """Heard once for each epoch, those of earlier runs of the same training included."""
        ...


class Control:
    """Leads a training while it runs, from any thread.

    Args:
        epochs: Go on to this many epochs, then wait for more to be allowed; None: to the end.
    """

    def __init__(self, epochs: int | None = None) -> None:
        self.orders = Orders(epochs=epochs)

    def allow(self, epochs: int) -> None:
        """Let the training go on to this many epochs."""
        self.orders = replace(self.orders, epochs=epochs)

    def stop(self) -> None:
        """Let the training end within some steps, as if the last saved epoch were its last."""
        self.orders = replace(self.orders, stop=True)


class Heard:
    """What the workers said.

    Attributes:
        epochs: Every epoch so far, those of earlier runs of the training included.
        failure: Why they gave up; None if they did not.
        broken: What the listener itself raised, for which the training was stopped.
    """

    def __init__(self) -> None:
        self.epochs: list[EpochReport] = []
        self.failure: UserError | RunFailed | None = None
        self.broken: Exception | None = None


@contextmanager
def listening(mailbox: Any, listener: Listener, control: Control) -> Iterator[Heard]:
    """Hear the workers in a thread, until the block ends and nothing more is said; tell them what is wanted."""
    heard, ended = Heard(), threading.Event()

    def hear(message: object) -> None:
        if isinstance(message, Started):
            listener.started(len(message.history))
            for report in message.history:
                hear(report)
        elif isinstance(message, StepReport):
            listener.step(message)
        elif isinstance(message, UserError | RunFailed):
            heard.failure = message
        # Workers that replace others repeat, to the bit, what was not yet saved.
        elif isinstance(message, EpochReport) and message.epoch > len(heard.epochs):
            heard.epochs.append(message)
            listener.epoch(message)

    def listen() -> None:
        # They may have changed since the mailbox was made.
        told, last = None, False
        while not last:
            last = ended.wait(LISTENING_INTERVAL_S)
            if told != control.orders:
                told = control.orders
                mailbox.order.remote(told)
            for message in ray.get(mailbox.hear.remote()):
                hear(message)

    def listen_or_stop() -> None:
        try:
            listen()
        except Exception as error:  # nobody would hear how the training goes on
            heard.broken = error
            mailbox.order.remote(replace(control.orders, stop=True))

    thread = threading.Thread(target=listen_or_stop, name="training-listener")
    thread.start()
    try:
        yield heard
    finally:
        ended.set()
        thread.join()
        ray.kill(mailbox)
        if heard.broken is not None:
            raise heard.broken
