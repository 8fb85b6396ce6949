"""A user's lifter with a mistake that shows only while it trains; each attempt to train it leaves a line in a file."""

import os
from pathlib import Path
from typing import ClassVar, Literal

from pipelines.lifters.temporal_conv import TemporalConv
from pipelines.lifters.temporal_conv_options import TemporalConvConfig
from schemas.errors import RunFailed
from schemas.job_config import JobConfig


class FailingLifterConfig(TemporalConvConfig):
    attempts: str
    at: Literal["forward", "save"] = "forward"


class FailingLifter(TemporalConv):
    Config: ClassVar[type[JobConfig]] = FailingLifterConfig

    def __init__(self, config, input_layout, output_layout):
        assert isinstance(config, FailingLifterConfig)
        super().__init__(config, input_layout, output_layout)
        self._attempts, self._at = Path(config.attempts), config.at

    def state_dict(self, *args, **kwargs):
        # The checkpoint is written by the first worker alone.
        if self._at == "save" and self.training:
            raise RunFailed("output: cannot be written: No space left on device")
        return super().state_dict(*args, **kwargs)

    def forward(self, inputs):
        if self._at != "forward":
            return super().forward(inputs)
        with self._attempts.open("a") as file:
            file.write(f"{os.getpid()}\n")
        raise IndexError("there is no joint 17")
