"""A user's lifter with a mistake that shows only while it trains; each attempt to train it leaves a line in a file."""

import os
import signal
from pathlib import Path
from typing import ClassVar, Literal

import torch.distributed as dist

from pipelines.lifters.temporal_conv import TemporalConv
from pipelines.lifters.temporal_conv_options import TemporalConvConfig
from pipelines.training.link import RayTrainLink
from schemas.errors import RunFailed
from schemas.job_config import JobConfig


def _is_second_worker():
    return dist.is_initialized() and dist.get_rank() == 1


class FailingLifterConfig(TemporalConvConfig):
    attempts: str
    at: Literal["load", "forward", "validate", "save", "report", "freeze"] = "forward"


class FailingLifter(TemporalConv):
    Config: ClassVar[type[JobConfig]] = FailingLifterConfig

    def __init__(self, config, input_layout, output_layout):
        assert isinstance(config, FailingLifterConfig)
        super().__init__(config, input_layout, output_layout)
        self._attempts, self._at = Path(config.attempts), config.at
        if self._at == "load" and _is_second_worker():
            self._fail()
        if self._at == "report" and _is_second_worker():
            # No lifter takes part in it.
            RayTrainLink.epoch_saved = lambda *_: self._fail()  # pyright: ignore[reportAttributeAccessIssue]

    def state_dict(self, *args, **kwargs):
        # The checkpoint is written by the first worker alone.
        if self._at == "save" and self.training:
            raise RunFailed("output: cannot be written: No space left on device")
        return super().state_dict(*args, **kwargs)

    def forward(self, inputs):
        if self._at == "validate" and not self.training and _is_second_worker():
            self._fail()
        if self._at == "freeze" and _is_second_worker() and not self._attempts.exists():
            self._attempts.touch()
            os.kill(os.getpid(), signal.SIGSTOP)
        if self._at != "forward":
            return super().forward(inputs)
        return self._fail()

    def _fail(self):
        with self._attempts.open("a") as file:
            file.write(f"{os.getpid()}\n")
        raise IndexError("there is no joint 17")
