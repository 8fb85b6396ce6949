"""What a worker of a lifter's training holds: labeled samples, batches of unlabeled ones, sequences for validation."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal

import torch

from pipelines.sampling.labeled_samples import LabeledSamples, RecordedViews
from pipelines.sampling.made_views import MadeViews
from pipelines.sampling.pool import StreamOptions, UnlabeledStream, unlabeled_stream
from pipelines.sampling.sequences import Sequences, concatenate
from pipelines.sampling.windows import Windows
from pipelines.tracks import keypoint_reader
from pipelines.tracks.keypoint_reader import TrackInfo
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.resample import resample, resampled_lengths
from pipelines.tracks.selection import SubsetStart, subset
from pipelines.train.plan import TrainingPlan, epoch_order, needs_intrinsics, samples_per_batch
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train import LifterInput, TrainConfig
from schemas.layouts import JointLayout

# A training has labeled, validation and unlabeled tracks. The trials of a search follow each other in one process,
# mostly with the same tracks, so these are kept.
SETS_OF_A_TRAINING = 3


@dataclass(frozen=True)
class TrainingData:
    """What a worker holds.

    Attributes:
        labeled: Labeled samples, of which each step takes some; every worker holds all of them.
        unlabeled: Batches without labels; None in supervised training.
        validation: Held-out sequences; None if there are none.
    """

    labeled: LabeledSamples
    unlabeled: UnlabeledStream | None
    validation: Sequences | None


def load_data(
    config: TrainConfig, plan: TrainingPlan, workers: WorkerGroup, load: "Callable[[TrackSet], Sequences] | None" = None
) -> TrainingData:
    """Read the tracks.

    Args:
        config: The training.
        plan: What it has found in the tracks.
        workers: The group that the worker belongs to.
        load: Reads a set of tracks; not given: `load_kept`.

    Raises:
        UserError: The tracks have numbers that are not finite, or lack what the plan requires.
    """
    data = config.data
    read = partial(
        TrackSet,
        input_layout=plan.input_layout,
        features=3 if plan.features == 3 else 2,
        lifter_input=data.input,
        device=workers.device,
    )
    # Made views interpolate between recorded frames, so all of these are kept.
    downsample = 1 if data.world.enabled else data.downsample
    training = read(
        tuple(plan.training),
        plan.source_fps,
        positions_layout=plan.output_layout,
        subset=(data.subset, downsample, data.subset_start),
    )
    load_held = load or load_kept
    sequences = load_held(training)
    validation = None
    if plan.validation:
        validation = load_held(read(tuple(plan.validation), plan.fps, positions_layout=plan.output_layout))
    unlabeled = None
    if plan.unlabeled:
        lengths = resampled_lengths(plan.unlabeled, plan.fps)
        # A corpus that is larger than a pool is loaded in turns, and nothing more of it may be kept in memory.
        load_set = load_held if sum(lengths) <= data.pool_frames else TrackSet.load

        def load_unlabeled(infos: Sequence[TrackInfo]) -> Sequences:
            return load_set(read(tuple(infos), plan.fps, needs_intrinsics=needs_intrinsics(config)))

        unlabeled = unlabeled_stream(
            plan.unlabeled,
            lengths,
            load_unlabeled,
            data.pool_frames,
            StreamOptions(
                plan.shape,
                samples_per_batch(config, plan.shape),
                # The order differs from that of the labeled samples, in case both sets are the same tracks.
                config.optimization.seed + 1,
                data.mirroring,
                workers.rank,
                workers.size,
            ),
        )
    return TrainingData(_labeled_samples(config, plan, sequences), unlabeled, validation)


@dataclass(frozen=True)
class TrackSet:
    """Tracks, and how they are to lie in memory.

    Attributes:
        tracks: The tracks.
        fps: The frame rate to resample them to.
        input_layout: Joint layout that the lifter reads.
        features: 2: x, y; 3: x, y, score.
        lifter_input: How the lifter is given keypoints.
        device: Where they go.
        positions_layout: Joint layout that the lifter predicts; None: they are read without labels.
        needs_intrinsics: Whether every track must have them.
        subset: Which frames are kept, as `selection.subset` takes it; None: all.
    """

    tracks: tuple[TrackInfo, ...]
    fps: float
    input_layout: JointLayout
    features: Literal[2, 3]
    lifter_input: LifterInput
    device: torch.device
    positions_layout: JointLayout | None = None
    needs_intrinsics: bool = False
    subset: tuple[float, int, SubsetStart] | None = None

    @property
    def size_bytes(self) -> int:
        """About how much memory they take, as recorded: numbers of 4 bytes for coordinates and scores."""
        outputs = 0 if self.positions_layout is None else len(self.positions_layout.joints)
        return sum(4 * 3 * track.frames * (len(self.input_layout.joints) + outputs) for track in self.tracks)

    def load(self) -> Sequences:
        """Read the tracks.

        Raises:
            UserError: The tracks have numbers that are not finite, or lack required data.
        """
        return concatenate(
            self._resampled(),
            layout=self.input_layout,
            features=self.features,
            positions_layout=self.positions_layout,
            needs_intrinsics=self.needs_intrinsics,
            lifter_input=self.lifter_input,
        ).to(self.device)

    def _resampled(self) -> Iterator[KeypointTrack]:
        for track in keypoint_reader.read_rows(self.tracks, labels=self.positions_layout is not None):
            resampled = resample(track, self.fps)
            yield subset(resampled, *self.subset) if self.subset else resampled


@lru_cache(maxsize=SETS_OF_A_TRAINING)
def load_kept(tracks: TrackSet) -> Sequences:
    """Read tracks, or return those that the last training of this process has read, if they are the same.

    Nobody changes sequences in place, so that trainings may share them.
    """
    return tracks.load()


def _labeled_samples(config: TrainConfig, plan: TrainingPlan, sequences: Sequences) -> LabeledSamples:
    data = config.data
    if not data.world.enabled:
        windows = Windows(sequences, plan.shape)
        return RecordedViews(windows, epoch_order(config, plan.shape, len(windows)))
    return MadeViews(
        sequences,
        data.world,
        plan.shape,
        plan.input_layout,
        data.input,
        features=plan.features,
        stride=data.downsample,
        fps=plan.fps,
        batch_size=samples_per_batch(config, plan.shape),
        seed=config.optimization.seed,
    )
