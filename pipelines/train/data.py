"""What a worker of a lifter's training holds: labeled samples, batches of unlabeled ones, sequences for validation."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from pipelines.sampling.labeled_samples import LabeledSamples, RecordedViews
from pipelines.sampling.made_views import MadeViews
from pipelines.sampling.pool import StreamOptions, UnlabeledStream, unlabeled_stream
from pipelines.sampling.sequences import Sequences, concatenate
from pipelines.sampling.windows import Windows
from pipelines.tracks import keypoint_reader
from pipelines.tracks.keypoint_reader import TrackInfo
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.resample import resample, resampled_lengths
from pipelines.tracks.selection import subset
from pipelines.train.plan import TrainingPlan, epoch_order, needs_intrinsics, samples_per_batch
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train import TrainConfig


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


def load_data(config: TrainConfig, plan: TrainingPlan, workers: WorkerGroup) -> TrainingData:
    """Read the tracks.

    Raises:
        UserError: The tracks have numbers that are not finite, or lack what the plan requires.
    """
    data, device = config.data, workers.device
    gather = partial(
        concatenate,
        layout=plan.input_layout,
        features=3 if plan.features == 3 else 2,
        lifter_input=data.input,
    )
    sequences = gather(_training_tracks(config, plan), positions_layout=plan.output_layout).to(device)
    validation = None
    if plan.validation:
        tracks = (resample(track, plan.fps) for track in keypoint_reader.read_rows(plan.validation))
        validation = gather(tracks, positions_layout=plan.output_layout).to(device)
    unlabeled = None
    if plan.unlabeled:

        def load(infos: Sequence[TrackInfo]) -> Sequences:
            tracks = (resample(track, plan.fps) for track in keypoint_reader.read_rows(infos, labels=False))
            return gather(tracks, needs_intrinsics=needs_intrinsics(config)).to(device)

        unlabeled = unlabeled_stream(
            plan.unlabeled,
            resampled_lengths(plan.unlabeled, plan.fps),
            load,
            data.pool_frames,
            StreamOptions(
                plan.shape,
                samples_per_batch(config, plan.shape),
                # Another order than the labeled samples', in case both sets are the same tracks.
                config.optimization.seed + 1,
                data.mirroring,
                workers.rank,
                workers.size,
            ),
        )
    return TrainingData(_labeled_samples(config, plan, sequences), unlabeled, validation)


def _training_tracks(config: TrainConfig, plan: TrainingPlan) -> Iterator[KeypointTrack]:
    data = config.data
    # Made views take their frames between those that were recorded.
    downsample = 1 if data.world.enabled else data.downsample
    for track in keypoint_reader.read_rows(plan.training):
        yield subset(resample(track, plan.source_fps), data.subset, downsample, data.subset_start)


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
