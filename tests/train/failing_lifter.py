"""A user's lifter with a mistake that shows only while it trains; each attempt to train it leaves a line in a file."""

import os
from pathlib import Path
from typing import ClassVar

from train.plain_lifter import PlainLifter, PlainLifterConfig

from schemas.job_config import JobConfig


class FailingLifterConfig(PlainLifterConfig):
    attempts: str
    out_of_memory: bool = False


class FailingLifter(PlainLifter):
    Config: ClassVar[type[JobConfig]] = FailingLifterConfig

    def __init__(self, config, input_layout, output_layout):
        super().__init__(config, input_layout, output_layout)
        self._config = config

    def forward(self, inputs):
        with Path(self._config.attempts).open("a") as file:
            file.write(f"{os.getpid()}\n")
        if self._config.out_of_memory:
            raise MemoryError
        raise IndexError("there is no joint 17")
