"""A user's lifter with PyTorch's own batch norm, over (samples, channels) and over (samples, channels, frames)."""

from typing import ClassVar

import torch
from torch import nn

from schemas.frame_window import FrameWindow
from schemas.job_config import JobConfig


class PlainLifterConfig(JobConfig):
    channels: int = 16


class PlainLifter(nn.Module):
    Config: ClassVar[type[JobConfig]] = PlainLifterConfig
    window = FrameWindow.sliding(9)
    input_features = 2

    def __init__(self, config, input_layout, output_layout):
        super().__init__()
        self.input_layout, self.output_layout = input_layout, output_layout
        # Without a bias, whose gradient before a batch norm is rounding noise, which Adam turns into steps.
        self.conv = nn.Sequential(
            nn.Conv1d(2 * len(input_layout), config.channels, 9, bias=False), nn.BatchNorm1d(config.channels), nn.ReLU()
        )
        self.norm = nn.BatchNorm1d(config.channels)
        self.shrink = nn.Linear(config.channels, 3 * len(output_layout))

    def forward(self, inputs):
        x = self.conv(inputs.flatten(2).transpose(1, 2)).transpose(1, 2)
        y = self.shrink(torch.relu(self.norm(x.flatten(0, 1))))
        return y.view(*x.shape[:2], len(self.output_layout), 3)
