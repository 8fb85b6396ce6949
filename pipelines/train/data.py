"""What a training reads: checked on the driver before anything starts, loaded on each worker."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from pipelines.lifters.base import build_lifter
from pipelines.sampling.order import EpochOrder, require_work
from pipelines.sampling.pool import StreamOptions, UnlabeledStream, unlabeled_stream
from pipelines.sampling.sequences import Sequences, concatenate
from pipelines.sampling.windows import Windows, WindowShape, chunk_counts
from pipelines.tracks import keypoint_reader
from pipelines.tracks.keypoint_reader import TrackInfo
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.resample import resample, resampled_lengths
from pipelines.tracks.selection import Choice, choose, subset, subset_frames
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train import TrainConfig
from schemas.errors import UserError
from schemas.layouts import JointLayout, layout, shared_joints

# Rates that differ by less are one: 29.97 and 30.
SAME_RATE = 0.01


@dataclass(frozen=True)
class DataPlan:
    """What the tracks are, from their metadata alone.

    Attributes:
        training: Labeled tracks to train on.
        validation: Labeled tracks held out.
        unlabeled: Unlabeled tracks.
        input_layout: Joints of the keypoints.
        output_layout: Joints of the positions.
        source_fps: The rate to which tracks are resampled.
        fps: The lifter's: every `downsample`-th frame of it.
        shape: Of the samples.
        features: What the lifter reads of a keypoint: 2 or 3 numbers.
        short_tracks: Training and unlabeled tracks shorter than the receptive field; their ends are repeated.
        digest: Of all files read.
    """

    training: Sequence[TrackInfo]
    validation: Sequence[TrackInfo]
    unlabeled: Sequence[TrackInfo]
    input_layout: JointLayout
    output_layout: JointLayout
    source_fps: float
    fps: float
    shape: WindowShape
    features: int
    short_tracks: int
    digest: str


@dataclass(frozen=True)
class TrainingData:
    """What a worker holds.

    Attributes:
        labeled: Samples to train on, all of them on every worker.
        order: Which of them each step takes.
        unlabeled: Batches without labels; None in supervised training.
        validation: Sequences held out; None if there are none.
    """

    labeled: Windows
    order: EpochOrder
    unlabeled: UnlabeledStream | None
    validation: Sequences | None


def plan_data(config: TrainConfig) -> DataPlan:
    """Read what is known of all tracks and check that they go together.

    Raises:
        UserError: No tracks, no labels, layouts or rates that do not fit, no intrinsics where they are needed, or
            more workers than samples.
    """
    labeled = _labeled(config)
    data, training, validation = config.data, *_hold_out(config, labeled)
    unlabeled: list[TrackInfo] = []
    if config.unlabeled is not None:
        unlabeled = _surveyed("unlabeled", config.unlabeled)
        unlabeled = choose(f"unlabeled={config.unlabeled}", unlabeled, Choice(subjects=data.unlabeled_subjects))
    input_layout = _one_layout("keypoints", [*training, *validation, *unlabeled])
    output_name = training[0].positions_layout
    assert output_name is not None
    output_layout = layout(output_name)
    if unlabeled:
        _check_projection(config, unlabeled, input_layout, output_layout)
    source_fps = data.fps or _one_rate(training)
    lifter = build_lifter(config.lifter, input_layout, output_layout)
    fps = source_fps / data.downsample
    lengths = [
        len(range(*subset_frames(n, data.subset, data.downsample, data.subset_start).indices(n)))
        for n in resampled_lengths(training, source_fps)
    ]
    shape = WindowShape(lifter.receptive_field, data.chunk, lifter.causal)
    order = _order(config, int(chunk_counts(torch.tensor(lengths), data.chunk).sum()))
    require_work(order.smallest_batch, config.resources.num_workers)
    rough = [track.frames * fps / (track.fps or fps) for track in unlabeled]
    sources = [config.labeled] if config.unlabeled is None else [config.labeled, config.unlabeled]
    return DataPlan(
        training=training,
        validation=validation,
        unlabeled=unlabeled,
        input_layout=input_layout,
        output_layout=output_layout,
        source_fps=source_fps,
        fps=fps,
        shape=shape,
        features=lifter.input_features,
        short_tracks=sum(0 < length < shape.receptive_field for length in [*lengths, *rough]),
        digest=keypoint_reader.digest(file for source in sources for file in keypoint_reader.tracks_files(source)),
    )


def load_data(config: TrainConfig, plan: DataPlan, workers: WorkerGroup) -> TrainingData:
    """Read the tracks; raises what `concatenate` raises."""
    data, device = config.data, workers.device
    gather = partial(concatenate, layout=plan.input_layout, features=3 if plan.features == 3 else 2)
    labeled = Windows(
        gather(_training_tracks(config, plan), positions_layout=plan.output_layout).to(device), plan.shape
    )
    validation = None
    if plan.validation:
        tracks = (resample(track, plan.fps) for track in keypoint_reader.read_rows(plan.validation))
        validation = gather(tracks, positions_layout=plan.output_layout).to(device)
    unlabeled = None
    if plan.unlabeled:

        def load(infos: Sequence[TrackInfo]) -> Sequences:
            tracks = (resample(track, plan.fps) for track in keypoint_reader.read_rows(infos, labels=False))
            return gather(tracks, needs_intrinsics=_needs_intrinsics(config)).to(device)

        unlabeled = unlabeled_stream(
            plan.unlabeled,
            resampled_lengths(plan.unlabeled, plan.fps),
            load,
            data.pool_frames,
            StreamOptions(
                plan.shape,
                max(1, config.optimization.batch_size // data.chunk),
                # Another order than the labeled samples', should both sets be the same.
                config.optimization.seed + 1,
                data.mirroring,
                workers.rank,
                workers.size,
            ),
        )
    return TrainingData(labeled, _order(config, len(labeled)), unlabeled, validation)


def _training_tracks(config: TrainConfig, plan: DataPlan) -> Iterator[KeypointTrack]:
    data = config.data
    for track in keypoint_reader.read_rows(plan.training):
        yield subset(resample(track, plan.source_fps), data.subset, data.downsample, data.subset_start)


def _order(config: TrainConfig, count: int) -> EpochOrder:
    samples = max(1, config.optimization.batch_size // config.data.chunk)
    return EpochOrder(count, samples, config.optimization.seed, config.data.mirroring)


def _labeled(config: TrainConfig) -> list[TrackInfo]:
    tracks = _surveyed("labeled", config.labeled)
    labeled = [track for track in tracks if track.positions_layout is not None]
    if not labeled:
        raise UserError(
            f"labeled={config.labeled}: none of {len(tracks)} tracks has positions; "
            "labeled tracks come from python -m jobs.import_poses"
        )
    return choose(f"labeled={config.labeled}", labeled, Choice(actions=config.data.actions))


def _surveyed(name: str, uri: str | tuple[str, ...]) -> list[TrackInfo]:
    tracks = keypoint_reader.survey(uri)
    if not tracks:
        raise UserError(f"{name}={uri}: there are no tracks in it")
    return tracks


def _hold_out(config: TrainConfig, labeled: list[TrackInfo]) -> tuple[list[TrackInfo], list[TrackInfo]]:
    data, where = config.data, f"labeled={config.labeled}"
    held_out = set(data.validation_subjects)
    both = held_out & set(data.subjects or ())
    if both:
        raise UserError(
            f"data.validation_subjects: {', '.join(sorted(both))} is in data.subjects too; hold it out of one of them"
        )
    validation = choose(where, labeled, Choice(subjects=data.validation_subjects)) if held_out else []
    training = choose(where, labeled, Choice(subjects=data.subjects))
    training = [track for track in training if track.subject not in held_out]
    if not training:
        raise UserError("data.validation_subjects: no labeled subject is left to train on; hold out fewer")
    return training, validation


def _one_layout(what: str, tracks: Sequence[TrackInfo]) -> JointLayout:
    first = tracks[0]
    for track in tracks:
        if track.layout != first.layout:
            raise UserError(
                f"{track.file}: {what} of track {track.track_id} are {track.layout}, those of {first.file} "
                f"{first.layout}; train on tracks of one layout (label or import_poses writes either)"
            )
    return layout(first.layout)


def _one_rate(tracks: Sequence[TrackInfo]) -> float:
    rates = [track.fps for track in tracks]
    for track, rate in zip(tracks, rates, strict=True):
        if rate is None or not math.isfinite(rate) or rate <= 0:
            raise UserError(f"track {track.track_id}: its frame rate is unknown; give data.fps")
    known = [rate for rate in rates if rate is not None]
    if max(known) / min(known) > 1 + SAME_RATE:
        raise UserError(
            f"data.fps: the labeled tracks have {min(known):g} to {max(known):g} frames/s; "
            "give the rate to train at, and all are resampled to it"
        )
    return known[0]


def _needs_intrinsics(config: TrainConfig) -> bool:
    return config.objective.projection in ("full", "linear")


def _check_projection(
    config: TrainConfig, unlabeled: Sequence[TrackInfo], input_layout: JointLayout, output_layout: JointLayout
) -> None:
    projection = config.objective.projection
    if not shared_joints(input_layout, output_layout) and projection != "none":
        raise UserError(
            f"objective.projection={projection}: {input_layout.name} keypoints and {output_layout.name} positions "
            "share no joint to compare; give objective.projection=none"
        )
    if not _needs_intrinsics(config):
        return
    if config.trajectory is False:
        raise UserError(
            f"trajectory=false: objective.projection={projection} needs to know where people are; "
            "leave trajectory out, or give objective.projection=orthographic"
        )
    without = [track for track in unlabeled if track.intrinsics_provenance == "none"]
    if without:
        raise UserError(
            f"objective.projection={projection}: {len(without)} of {len(unlabeled)} unlabeled tracks have no "
            f"intrinsics, the first is {without[0].track_id}; label with assumed_fov_deg or a manifest with "
            "intrinsics, or give objective.projection=orthographic"
        )
