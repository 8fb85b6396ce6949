"""The messages of a training's workers: that they started, how far an epoch is, what an epoch achieved."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Unit = Literal["frames", "people"]
"""What a training counts: a lifter's the frames that it predicts, a detector's the people that it sees."""

OnStep = Callable[[int, int, float], None]
"""Called now and then with (step, steps of the epoch, frames or people per second)."""


@dataclass(frozen=True)
class EpochReport:
    """The results of an epoch.

    Attributes:
        epoch: Its number, from 1.
        losses: Mean of each weighted term, and their sum as `total`.
        learning_rate: The rate during the epoch.
        count: Frames predicted or people seen, by all workers together.
        unit: Which of the two `count` is.
        seconds: Duration without validation.
        computing_s: Time of forward pass, backward pass and optimizer step. GPUs work asynchronously: there it is the
            time to launch them.
        validation: Metrics on the held-out data; empty without such data.
    """

    epoch: int
    losses: dict[str, float]
    learning_rate: float
    count: int
    unit: Unit
    seconds: float
    computing_s: float
    validation: dict[str, float]

    @classmethod
    def from_checkpoint(cls, fields: Mapping[str, Any], unit: Unit) -> "EpochReport":
        """Read a report from a checkpoint; version 0.1.0 wrote the count as `frames`, whatever it counted."""
        if "frames" in fields:
            renamed = {**fields, "count": fields["frames"], "unit": unit}
            del renamed["frames"]
            return cls(**renamed)
        return cls(**fields)

    def metrics(self) -> dict[str, Any]:
        """All numbers, nested, as `report.json` names them."""
        return {
            "epoch": self.epoch,
            "loss": self.losses,
            "learning_rate": self.learning_rate,
            f"{self.unit}_per_s": self.count / self.seconds,
            "computing_share": self.computing_s / self.seconds,
            "epoch_s": self.seconds,
            "validation": self.validation,
        }


def grouped(metrics: Mapping[str, Any], pose_weight: float = 0.0) -> dict[str, dict[str, Any]]:
    """The numbers of an epoch as MLflow's page groups them: those of training and those of the people held out.

    Args:
        metrics: `EpochReport.metrics()`.
        pose_weight: Weight of the error of poses in the loss. If it is above 0, that error is logged in millimetres
            too, so that it can be compared with the one of the people held out.
    """
    rest = {name: value for name, value in metrics.items() if name not in ("epoch", "loss", "validation")}
    losses = metrics.get("loss", {})
    train = {**{f"loss_{name}": value for name, value in losses.items()}, **rest}
    if pose_weight > 0 and "pose" in losses:
        train["pose_mm"] = 1000 * losses["pose"] / pose_weight
    return {"train": train, "validation": dict(metrics.get("validation", {}))}


@dataclass(frozen=True)
class Started:
    """Sent once by new workers.

    Attributes:
        history: The epochs that they continue from.
    """

    history: list[EpochReport]


@dataclass(frozen=True)
class StepReport:
    """How far an epoch is.

    Attributes:
        epoch: Its number, from 1.
        step: Steps done.
        steps: Steps of the epoch.
        per_second: Frames or people per second since the epoch began.
    """

    epoch: int
    step: int
    steps: int
    per_second: float
