"""A user's lifter with a mistake that shows only while it trains; each attempt to train it leaves a line in a file."""

import os
from pathlib import Path
from typing import ClassVar

from torch import nn

from schemas.job_config import JobConfig


class FailingLifterConfig(JobConfig):
    attempts: str


class FailingLifter(nn.Module):
    Config: ClassVar[type[JobConfig]] = FailingLifterConfig
    receptive_field = 9
    causal = False
    input_features = 2

    def __init__(self, config, input_layout, output_layout):
        super().__init__()
        self.input_layout, self.output_layout = input_layout, output_layout
        self._attempts = Path(config.attempts)
        self.layer = nn.Linear(2 * len(input_layout), 3 * len(output_layout))

    def forward(self, inputs):
        with self._attempts.open("a") as file:
            file.write(f"{os.getpid()}\n")
        raise IndexError("there is no joint 17")
