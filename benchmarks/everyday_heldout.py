"""How well a lifter does on held-out motion seen by made cameras and a made detector, as in its training.

python benchmarks/everyday_heldout.py MODEL TRACKS RECIPE SUBJECT…

RECIPE says how large the detector's errors are, as the fit_noise job writes it, such as
jobs/recipes/errors_blazepose.yaml. P-MPJPE and MPJPE of the 12 limb joints about the middle of the hips, mm, for people
of their own build and for people who are varied as in training: by distance and height of the camera, by the side that
the person shows it, and by what the person does. Then for films of fewer frames/s, and without the frames to come.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from jobs.command_line.arguments import read_config
from pipelines.lifters.checkpoint import LifterCard, load_lifter
from pipelines.lifters.model import LiftingModel
from pipelines.mlflow_runs import model_uris
from pipelines.pose.metrics import align_similarity, errors_mm
from pipelines.sampling.made_views import MadeViews
from pipelines.sampling.sequences import Sequences, concatenate
from pipelines.sampling.windows import WindowShape
from pipelines.tracks.keypoint_reader import read_rows, survey
from schemas.configs.made_views import MadeViewsConfig
from schemas.configs.train import TrainConfig
from schemas.layouts import JointLayout, joint_indices, layout

BATCHES, BATCH = 20, 512
# Seed of the views: no training has seen it.
SEED = 12345
OWN_BUILD = {"bone_sd": 0.0, "stature_sd": 0.0}
FRAME_RATES = (24, 20, 15, 10)
# Number of frames after the predicted one that are known, as in live use; the last one stands for those to come.
FRAMES_TO_COME = (6, 3, 1, 0)
ELEVATIONS_DEG = ((-15, 15), (15, 35), (35, 60))
# Speed of the hips over this time before and after a frame, s, tells who walks (m/s) and who runs.
SPEED_OVER_S, WALKS, RUNS = 0.25, 0.6, 2.5
# Both knees bent more than this, or the trunk farther from upright, degrees.
BENT_DEG = 80.0
LEANING_DEG = 45.0


def main(model_address: str, tracks: str, recipe: str, subjects: set[str]) -> None:
    """Print the table."""
    model, card = load_lifter(model_uris.fetch(model_address).file)
    config = read_config(TrainConfig, [recipe, f"labeled={tracks}", "output=none"]).data.world
    held_out = [track for track in survey(tracks) if track.subject in subjects]
    sequences = concatenate(
        read_rows(held_out),
        layout=layout(card.input_layout),
        features=3,
        positions_layout=layout(card.output_layout),
        lifter_input=card.input,
    )
    print(f"{len(held_out)} tracks of {', '.join(sorted(subjects))}, {BATCHES * BATCH} views")
    for people, changes in (("own build", OWN_BUILD), ("varied", {})):
        world = config.model_copy(update=changes)
        views = score(model, card, sequences, world, BATCHES)
        line(f"{people}: all", views.errors)
        for near, far in ((1.5, 2.5), (2.5, 4), (4, 9)):
            line(f"{near:g} to {far:g} m", views.errors[(views.distance_m >= near) & (views.distance_m < far)])
        for name, part in views.groups().items():
            if part.any():
                line(name, views.errors[part])
        for low, high in ELEVATIONS_DEG:
            at_height = world.model_copy(update={"elevation_deg": (low, high)})
            line(f"camera {low}° to {high}° high", score(model, card, sequences, at_height, BATCHES // 4).errors)
    world = config.model_copy(update=OWN_BUILD)
    for fps in FRAME_RATES:
        slower = partial(resampled, step=card.fps / fps)
        line(f"films of {fps} frames/s", score(model, card, sequences, world, BATCHES // 2, slower).errors)
    for frames in FRAMES_TO_COME:
        live = partial(without_frames_to_come, known=frames)
        line(
            f"{frames / card.fps:.2f} s after the frame",
            score(model, card, sequences, world, BATCHES // 2, live).errors,
        )


def line(name: str, errors: Float[Tensor, "views 2"]) -> None:
    """Print a line of the table."""
    print(f"{name:<28}{len(errors):>7} views{errors[:, 0].mean():>8.1f} mm{errors[:, 1].mean():>8.1f} mm (P-MPJPE)")


@dataclass(frozen=True)
class Views:
    """Scored views.

    Attributes:
        errors: MPJPE and P-MPJPE of each, mm.
        distance_m: Of the person from the camera.
        facing: Cosine between the direction that the person faces and the direction to the camera.
        speed_m_per_s: Of the hips.
        knee_deg: Bend of the straighter knee.
        trunk_deg: Angle of the trunk to the upright.
    """

    errors: Float[Tensor, "views 2"]
    distance_m: Float[Tensor, " views"]
    facing: Float[Tensor, " views"]
    speed_m_per_s: Float[Tensor, " views"]
    knee_deg: Float[Tensor, " views"]
    trunk_deg: Float[Tensor, " views"]

    def groups(self) -> dict[str, Bool[Tensor, " views"]]:
        """Views by the side of the person, and by what the person does."""
        low = self.knee_deg > BENT_DEG
        leaning = ~low & (self.trunk_deg > LEANING_DEG)
        upright = ~low & ~leaning
        walks, runs = self.speed_m_per_s > WALKS, self.speed_m_per_s > RUNS
        return {
            "seen from the front": self.facing > 0.5,
            "seen from the side": self.facing.abs() <= 0.5,
            "seen from behind": self.facing < -0.5,
            "upright, in place": upright & ~walks,
            "upright, walks": upright & walks & ~runs,
            "upright, runs": upright & runs,
            "trunk leans": leaning,
            "both knees bent": low,
        }


def resampled(
    inputs: Float[Tensor, "windows frames joints 3"], step: float
) -> Float[Tensor, "windows frames joints 3"]:
    """Windows of a film whose frames are `step` frames apart, with frames made between them as `lift` does.

    A frame in between is known where both neighbours are.
    """
    frames = inputs.shape[1]
    times = torch.arange(frames) - frames // 2

    def at(positions: Float[Tensor, " frames"]) -> Float[Tensor, "windows frames joints 3"]:
        before = positions.floor().long()
        after = (before + 1).clamp_max(frames - 1)
        return inputs[:, before].lerp(inputs[:, after], (positions - before)[:, None, None])

    first = (times / step).floor()
    left, right = (at((film * step + frames // 2).clamp(0, frames - 1)) for film in (first, first + 1))
    known = (left[..., 2:] == 1) & (right[..., 2:] == 1)
    return left.lerp(right, (times / step - first)[:, None, None]) * known


def without_frames_to_come(
    inputs: Float[Tensor, "windows frames joints 3"], known: int
) -> Float[Tensor, "windows frames joints 3"]:
    """Windows whose last frames repeat the last of the `known` ones after the middle."""
    last = inputs.shape[1] // 2 + known
    return inputs[:, torch.arange(inputs.shape[1]).clamp_max(last)]


def score(
    model: LiftingModel,
    card: LifterCard,
    sequences: Sequences,
    world: MadeViewsConfig,
    batches: int,
    change: Callable[[Tensor], Tensor] = lambda inputs: inputs,
) -> Views:
    """Score a lifter on made views of a world; `change` is applied to the windows before the lifter reads them."""
    body = layout(card.output_layout)
    limbs = list(joint_indices(body, layout("limbs12")))
    hips = [body.index("left_hip"), body.index("right_hip")]
    views = MadeViews(
        sequences,
        world,
        WindowShape(card.window),
        layout(card.input_layout),
        card.input,
        features=3,
        stride=2,
        fps=card.fps,
        batch_size=BATCH,
        seed=SEED,
    )
    parts = []
    with torch.inference_mode():
        for step in range(batches):
            batch = views.batch(0, step)
            assert batch.positions is not None
            true = batch.positions[:, 0]
            predicted, limbs_true = (
                joints[:, limbs] - joints[:, hips].mean(1, keepdim=True)
                for joints in (model(change(batch.inputs))[0][:, 0], true)
            )
            similar = errors_mm(align_similarity(predicted, limbs_true), limbs_true).mean(1)
            errors = torch.stack([errors_mm(predicted, limbs_true).mean(1), similar], dim=1)
            rows = sequences.offsets[batch.sequences] + batch.starts
            parts.append((errors, true[:, 0].norm(dim=-1), facing(true, body), *motion(sequences, rows, card.fps * 2)))
    return Views(*(torch.cat(values) for values in zip(*parts, strict=True)))


def facing(joints: Float[Tensor, "views joints 3"], body: JointLayout) -> Float[Tensor, " views"]:
    """Cosine between the direction that people face and the direction from them to the camera."""
    left, right, neck = (joints[:, body.index(name)] for name in ("left_hip", "right_hip", "thorax"))
    forward = torch.linalg.cross(left - right, neck - (left + right) / 2)
    return -functional.cosine_similarity(forward, (left + right) / 2, dim=-1)


def motion(
    sequences: Sequences, rows: Int64[Tensor, " views"], fps: float
) -> tuple[Float[Tensor, " views"], Float[Tensor, " views"], Float[Tensor, " views"]]:
    """Speed of the hips (m/s), bend of the straighter knee and lean of the trunk (degrees) in recorded frames."""
    positions, body = sequences.positions, sequences.positions_layout
    assert positions is not None
    assert body is not None
    number = torch.searchsorted(sequences.offsets, rows, right=True) - 1
    first, last = sequences.offsets[number], sequences.offsets[number + 1] - 1
    before, after = (rows - round(SPEED_OVER_S * fps)).clamp(first, last), (rows + round(SPEED_OVER_S * fps))
    after = after.clamp(first, last)
    travelled = (positions[after, 0] - positions[before, 0]).norm(dim=-1)
    joints = positions[rows]
    bends = []
    for side in ("left", "right"):
        hip, knee, ankle = (joints[:, body.index(f"{side}_{name}")] for name in ("hip", "knee", "ankle"))
        bends.append(functional.cosine_similarity(knee - hip, ankle - knee, dim=-1).acos().rad2deg())
    trunk = joints[:, body.index("thorax")] - joints[:, 0]
    lean = functional.cosine_similarity(trunk, sequences.up[number], dim=-1).acos().rad2deg()
    return travelled / ((after - before) / fps), torch.minimum(*bends), lean


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], set(sys.argv[4:]))
