"""A user's lifter with a mistake that shows only while it trains; each attempt to train it leaves a line in a file."""

import os
from pathlib import Path
from typing import ClassVar

from pipelines.lifters.temporal_conv import TemporalConv
from pipelines.lifters.temporal_conv_options import TemporalConvConfig
from schemas.job_config import JobConfig


class FailingLifterConfig(TemporalConvConfig):
    attempts: str


class FailingLifter(TemporalConv):
    Config: ClassVar[type[JobConfig]] = FailingLifterConfig

    def __init__(self, config, input_layout, output_layout):
        assert isinstance(config, FailingLifterConfig)
        super().__init__(config, input_layout, output_layout)
        self._attempts = Path(config.attempts)

    def forward(self, inputs):
        with self._attempts.open("a") as file:
            file.write(f"{os.getpid()}\n")
        raise IndexError("there is no joint 17")
