"""Plans a training of a lifter: checks on the driver, from the tracks' metadata, what it reads."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pipelines.lifters.model import LiftingModel, build_model
from pipelines.sampling.order import EpochOrder, require_work
from pipelines.sampling.windows import WindowShape, chunk_counts
from pipelines.tracks.keypoint_reader import TrackInfo
from pipelines.tracks.resample import resampled_lengths
from pipelines.tracks.selection import subset_frames
from pipelines.train.initial_weights import Start, require_same_lifter
from pipelines.train.optimizer import learning_rate_factors
from pipelines.train.track_choice import SurveyedTracks, survey_tracks
from schemas.configs.train import DataConfig, TrainConfig
from schemas.errors import UserError
from schemas.frame_window import FrameWindow
from schemas.job_config import options_of
from schemas.layouts import JointLayout, layout, shared_joints, without_feet

# Frame rates that differ by less than this share count as equal: 29.97 and 30.
SAME_RATE = 0.01


@dataclass(frozen=True)
class TrainingPlan:
    """A training's tracks, and what follows from them.

    Attributes:
        training: Labeled tracks to train on.
        validation: Labeled tracks that are held out.
        unlabeled: Unlabeled tracks.
        input_layout: Joints of the keypoints.
        output_layout: Joints of the positions.
        source_fps: Frame rate to which tracks are resampled.
        fps: Frame rate of the lifter: every `downsample`-th frame of the source.
        shape: Windows of the samples.
        features: Numbers per keypoint that the lifter reads: 2 or 3.
        trajectory: Whether a trajectory lifter is trained too.
        short_tracks: Training and unlabeled tracks shorter than what the lifter reads; their first and last frames are
            repeated.
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
    trajectory: bool
    short_tracks: int


def plan_training(
    config: TrainConfig, start: Start | None = None, tracks: SurveyedTracks | None = None
) -> TrainingPlan:
    """Check that tracks fit together and with the config.

    Args:
        config: The config.
        start: The lifter to start from; None: fresh weights.
        tracks: What the config's addresses hold, if somebody has looked already; None: it is looked at now.

    Raises:
        UserError: There are no tracks or labels, layouts or rates do not fit, intrinsics are missing, there are more
            workers than samples, a warm-up without an end, or another lifter to start from.
    """
    _check_warmup(config)
    tracks = tracks or survey_tracks(config)
    data, training, validation = config.data, *tracks.training_and_validation(config)
    unlabeled = tracks.unlabeled_chosen(config)
    assert training[0].positions_layout is not None
    output_layout = layout(training[0].positions_layout)
    # Feet in the tracks of a detector are for the angles of ankles; a lifter reads them if it is asked to.
    input_layout = layout(data.input_layout) if data.input_layout else without_feet(layout(training[0].layout))
    _check_joints(config, [*training, *validation, *unlabeled], input_layout, output_layout)
    if unlabeled:
        _check_projection(config, unlabeled, input_layout, output_layout)
    trajectory = _has_trajectory(config, unlabeled)
    _check_metric(config, validation, trajectory)
    source_fps = data.fps or _one_rate(training)
    with options_of("lifter"):
        model = build_model(config.lifter, input_layout, output_layout, trajectory, data.input)
    if start:
        require_same_lifter(start, config, model)
    learning_rate_factors(model, config.optimization)
    lifter = model.pose
    fps = source_fps / data.downsample
    lengths = _lengths(data, training, source_fps)
    shape = _window_shape(data, lifter.window)
    _check_samples(config, lifter.input_features, shape)
    chunks = (
        data.world.samples_per_epoch if data.world.enabled else int(chunk_counts(torch.tensor(lengths), shape).sum())
    )
    smallest_batch = epoch_order(config, shape, chunks).smallest_batch
    require_work(smallest_batch, config.resources.num_workers)
    _require_learnable(config, model, shape, smallest_batch)
    # Unlabeled tracks without a frame rate are assumed to have the lifter's.
    unlabeled_lengths = [track.frames * fps / (track.fps or fps) for track in unlabeled]
    return TrainingPlan(
        training=training,
        validation=validation,
        unlabeled=unlabeled,
        input_layout=input_layout,
        output_layout=output_layout,
        source_fps=source_fps,
        fps=fps,
        shape=shape,
        features=lifter.input_features,
        trajectory=trajectory,
        short_tracks=sum(0 < length < shape.window.inputs for length in [*lengths, *unlabeled_lengths]),
    )


def _has_trajectory(config: TrainConfig, unlabeled: Sequence[TrackInfo]) -> bool:
    """Whether a trajectory lifter is trained too: projecting unlabeled poses needs it, unless they are fitted."""
    if config.trajectory is not None:
        return config.trajectory
    return bool(unlabeled) and config.objective.projection != "fitted"


def _check_warmup(config: TrainConfig) -> None:
    """Check that unlabeled tracks have an epoch left."""
    if config.warmup_epochs >= config.optimization.epochs:
        raise UserError(
            f"objective.warmup_epochs={config.warmup_epochs}: all of optimization.epochs={config.optimization.epochs} "
            "would be trained without the unlabeled tracks; give fewer of the former or more of the latter, or leave "
            "unlabeled out"
        )


def _lengths(data: DataConfig, tracks: Sequence[TrackInfo], source_fps: float) -> list[int]:
    """The frames of each labeled track that are trained on."""
    lengths = [
        len(range(*subset_frames(n, data.subset, data.downsample, data.subset_start).indices(n)))
        for n in resampled_lengths(tracks, source_fps)
    ]
    if not sum(lengths):
        raise UserError(f"data.subset={data.subset:g}: leaves no frame of the {len(tracks)} labeled tracks; give more")
    return lengths


def _check_samples(config: TrainConfig, input_features: int, shape: WindowShape) -> None:
    """Check that samples hold what the objective and the lifter need."""
    if config.objective.velocity and shape.chunk < 2:
        raise UserError(
            f"objective.velocity={config.objective.velocity:g}: a sample of one predicted frame has no velocity; give "
            "data.chunk=2 or more, a lifter that takes clips, or objective.velocity=0"
        )
    world = config.data.world
    if world.enabled and world.errors.missing and input_features != 3:
        raise UserError(
            f"data.world.errors.missing={world.errors.missing:g}: the lifter reads no scores, which mark missing "
            "joints; give lifter.scores=true, or data.world.errors.missing=0"
        )


def _require_learnable(config: TrainConfig, model: LiftingModel, shape: WindowShape, smallest_batch: int) -> None:
    """Check that the smallest batch can be trained on: batch normalisation needs more than a single value."""
    batch_size = config.optimization.batch_size
    if shape.chunk > batch_size:
        raise UserError(
            f"optimization.batch_size={batch_size}: a sample predicts {shape.chunk} frames, more than a batch; give at "
            "least as many, or a smaller data.chunk"
        )
    if smallest_batch * shape.chunk > 1:
        return
    lifter = model.train().pose
    try:
        lifter(torch.zeros(1, shape.frames, len(lifter.input_layout), lifter.input_features))
    except ValueError as error:
        raise UserError(
            f"optimization.batch_size={batch_size}: the smallest batch has a single frame, from which this lifter "
            "cannot learn; give larger batches, or more data"
        ) from error


def epoch_order(config: TrainConfig, shape: WindowShape, chunks: int) -> EpochOrder:
    """Which of the labeled chunks each step of an epoch takes."""
    return EpochOrder(chunks, samples_per_batch(config, shape), config.optimization.seed, config.data.mirroring)


def samples_per_batch(config: TrainConfig, shape: WindowShape) -> int:
    """Samples of a batch, of which each predicts a chunk of frames; of all workers."""
    return max(1, config.optimization.batch_size // shape.chunk)


def _window_shape(data: DataConfig, window: FrameWindow) -> WindowShape:
    """The windows of the samples; a lifter of clips gets whole clips, unless the config sets fewer frames."""
    chunk = data.chunk or window.outputs
    if window.takes_clips and chunk > window.outputs:
        raise UserError(
            f"data.chunk={chunk}: the lifter takes clips of at most {window.outputs} frames; give at most as many, or "
            "leave data.chunk out"
        )
    return WindowShape(window, chunk)


def needs_intrinsics(config: TrainConfig) -> bool:
    """Whether the objective projects with the cameras' intrinsics; rays are made with assumed ones if need be."""
    return config.objective.projection in ("full", "linear", "fitted") and config.data.input == "screen"


def _check_joints(
    config: TrainConfig, tracks: Sequence[TrackInfo], input_layout: JointLayout, output_layout: JointLayout
) -> None:
    """Check that keypoints have every joint that the lifter reads, and positions too where views are made of them."""
    used = {track.layout: track for track in tracks}.items()
    for name, track in used:
        if missing := [joint for joint in input_layout.joints if joint not in layout(name).joints]:
            raise UserError(
                f"{track.file}: keypoints of track {track.track_id} are {name}, which lacks {missing[0]} of "
                f"{input_layout.name}; train on tracks of one layout, or give data.input_layout=limbs12"
            )
    missing = [joint for joint in input_layout.joints if joint not in output_layout.joints]
    if config.data.world.enabled and missing:
        raise UserError(
            f"data.world.enabled=true: {output_layout.name} positions lack {missing[0]} of {input_layout.name} to make "
            "views of; give data.input_layout=limbs12"
        )


def _check_metric(config: TrainConfig, validation: Sequence[TrackInfo], trajectory: bool) -> None:
    if config.metric != "mpjpe_mm" and not validation:
        raise UserError(f"metric={config.metric}: is measured on people held out; give data.validation_subjects")
    if config.metric == "trajectory_mm" and not trajectory:
        raise UserError("metric=trajectory_mm: this lifter predicts no trajectory; give trajectory=true")


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


def _check_projection(
    config: TrainConfig, unlabeled: Sequence[TrackInfo], input_layout: JointLayout, output_layout: JointLayout
) -> None:
    projection = config.objective.projection
    if not shared_joints(input_layout, output_layout) and projection != "none":
        raise UserError(
            f"objective.projection={projection}: {input_layout.name} keypoints and {output_layout.name} positions "
            "share no joint to compare; give objective.projection=none"
        )
    if not needs_intrinsics(config):
        return
    if config.trajectory is False and projection != "fitted":
        raise UserError(
            f"trajectory=false: objective.projection={projection} needs to know where people are; "
            "leave trajectory out, or give objective.projection=fitted or orthographic"
        )
    without = [track for track in unlabeled if track.intrinsics_provenance == "none"]
    if without:
        raise UserError(
            f"objective.projection={projection}: {len(without)} of {len(unlabeled)} unlabeled tracks have no "
            f"intrinsics, the first is {without[0].track_id}; label with assumed_fov_deg or a manifest with "
            "intrinsics, or give objective.projection=orthographic"
        )
