"""Pairs of recordings of one action, and the samples that a training draws of them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from pipelines.aligners.sequences import RATE
from pipelines.aligners.sequences import Sequence as Person
from pipelines.tracks.normalised import mirrored
from schemas.configs.train_aligner import AlignerDataConfig

# Up to this share of a recording is left out at either end, so that the network cannot recognise its first frame.
_LEFT_OUT = 0.1


def margin_frames(window: int, speed: tuple[float, float]) -> int:
    """Frames at either end of a recording that training never embeds, because their windows would need padding."""
    return math.ceil(window // 2 * speed[1])


def shortest_frames(window: int, speed: tuple[float, float]) -> int:
    """Length of the shortest recording that holds two whole windows, in frames at `RATE`."""
    return math.ceil((2 * margin_frames(window, speed) + 2) / (1 - 2 * _LEFT_OUT))


@dataclass(frozen=True)
class Sample:
    """Frames of pairs of recordings.

    Attributes:
        windows: The poses around each frame.
        times: When each frame is shown, as a share of the stretch that it was drawn of.
    """

    windows: Float32[Tensor, "pairs 2 frames window coordinates"]
    times: Float32[Tensor, "pairs 2 frames"]

    def __len__(self) -> int:
        """Number of frames."""
        return self.times.numel()


class Pairs:
    """Draws pairs of recordings: a pair depends on its seed alone.

    Args:
        groups: Recordings of one action, at least two each, none shorter than `shortest_frames`.
        config: How they become samples.
        window: Frames that the network sees, odd.
    """

    def __init__(self, groups: Mapping[str, Sequence[Person]], config: AlignerDataConfig, window: int) -> None:
        self._groups, self._config, self._window = list(groups.values()), config, window
        self._margin = margin_frames(window, config.speed)

    def draw(self, seeds: Iterable[Sequence[int]]) -> Sample:
        """A pair for each seed."""
        drawn = [self._pair(np.random.default_rng(tuple(seed))) for seed in seeds]
        windows = np.stack([[window for window, _ in pair] for pair in drawn]).astype(np.float32)
        times = np.stack([[times for _, times in pair] for pair in drawn]).astype(np.float32)
        return Sample(torch.from_numpy(windows), torch.from_numpy(times))

    def _pair(self, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
        group = self._groups[rng.integers(len(self._groups))]
        chosen = [group[number] for number in rng.choice(len(group), 2, replace=False)]
        is_mirrored = self._config.mirroring and rng.random() < 0.5
        if self._config.pairs == "take":  # both show the same moments
            stretches = [self._stretch(rng, min(map(len, chosen)))] * 2
        else:
            stretches = [self._stretch(rng, len(person)) for person in chosen]
        return [self._frames(rng, *one, is_mirrored) for one in zip(chosen, stretches, strict=True)]

    def _stretch(self, rng: np.random.Generator, recorded: int) -> tuple[int, int]:
        """The first frame and the number of frames of a part of a recording, the windows around which are whole."""
        first, last = self._margin + rng.uniform(0, _LEFT_OUT, 2) * recorded
        frames = max(2, int(recorded - first - last))
        length = min(frames, round(self._config.stretch_s * RATE))
        return int(first) + int(rng.integers(frames - length + 1)), length

    def _frames(
        self, rng: np.random.Generator, person: Person, stretch: tuple[int, int], is_mirrored: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """The poses around some frames of a stretch, and the times of those."""
        (first, length), count = stretch, self._config.frames
        frames = np.sort(rng.choice(length, count, replace=length < count))
        around = np.arange(self._window) - self._window // 2
        places = (first + frames[:, None] + around * rng.uniform(*self._config.speed)).clip(0, len(person) - 1)
        before = np.floor(places).astype(int)
        share = (places - before)[..., None, None]
        after = np.minimum(before + 1, len(person) - 1)
        poses = person.poses[before] * (1 - share) + person.poses[after] * share
        poses = mirrored(poses) if is_mirrored else poses
        poses = poses + rng.normal(0, self._config.noise, poses.shape)
        return poses.reshape(count, self._window, -1), frames / length
