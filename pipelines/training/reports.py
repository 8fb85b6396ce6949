"""What the workers of a training report while it runs: that they started, how far an epoch is, what an epoch did."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from schemas.errors import RunFailed

# A look at the loss waits for the GPU: rarely enough to cost nothing, often enough to lose little.
STEPS_BETWEEN_LOOKS = 20

OnStep = Callable[[int, int, float], None]
"""Hears (step, steps, predicted frames/s) now and then."""


class Diverged(RunFailed):
    """The loss is not finite; the same settings would end so again."""


@dataclass(frozen=True)
class EpochReport:
    """What an epoch did.

    Attributes:
        epoch: Which, from 1.
        losses: Mean of each weighted term, and their sum as `total`.
        learning_rate: During the epoch.
        frames: Frames predicted, of all workers.
        seconds: Length, validation left out.
        computing_s: Time of forward, backward and step; on GPUs, which work behind the scenes, time to launch them.
        validation: Metrics on the held out sequences; empty without.
    """

    epoch: int
    losses: dict[str, float]
    learning_rate: float
    frames: int
    seconds: float
    computing_s: float
    validation: dict[str, float]

    def metrics(self) -> dict[str, Any]:
        """All numbers, nested."""
        return {
            "epoch": self.epoch,
            "loss": self.losses,
            "learning_rate": self.learning_rate,
            "frames_per_s": self.frames / self.seconds,
            "computing_share": self.computing_s / self.seconds,
            "epoch_s": self.seconds,
            "validation": self.validation,
        }


@dataclass(frozen=True)
class Started:
    """Said once by new workers.

    Attributes:
        history: The epochs that they continue.
    """

    history: list[EpochReport]


@dataclass(frozen=True)
class StepReport:
    """How far an epoch is."""

    epoch: int
    step: int
    steps: int
    frames_per_s: float
