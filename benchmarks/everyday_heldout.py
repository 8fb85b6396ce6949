"""How well a lifter does on held-out motion seen by made cameras and a made detector, as in its training.

python benchmarks/everyday_heldout.py MODEL TRACKS RECIPE SUBJECT…

RECIPE says how large the detector's errors are, as the fit_noise job writes it, such as
jobs/recipes/errors_blazepose.yaml. P-MPJPE and MPJPE of the 12 limb joints about the middle of the hips, mm, by
distance of the camera, for people of their own build and for people who are varied as in training.
"""

import sys

import torch
from jaxtyping import Float
from torch import Tensor

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
from schemas.layouts import joint_indices, layout

BATCHES, BATCH = 20, 512
# Seed of the views: no training has seen it.
SEED = 12345
OWN_BUILD = {"bone_sd": 0.0, "stature_sd": 0.0}


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
    print(f"{'people':<12}{'distance, m':<14}{'MPJPE, mm':>12}{'P-MPJPE, mm':>14}")
    for people, changes in (("own build", OWN_BUILD), ("varied", {})):
        root, similar, distance_m = score(model, card, sequences, config.model_copy(update=changes)).unbind(1)
        for near, far in ((1.5, 9), (1.5, 2.5), (2.5, 4), (4, 9)):
            where = (distance_m >= near) & (distance_m < far)
            errors = f"{root[where].mean():>12.1f}{similar[where].mean():>14.1f}"
            print(f"{people:<12}{f'{near:g} to {far:g}':<14}{errors}")


def score(
    model: LiftingModel, card: LifterCard, sequences: Sequences, config: MadeViewsConfig
) -> Float[Tensor, "views 3"]:
    """MPJPE, P-MPJPE (mm) and distance (m) of each view."""
    body = layout(card.output_layout)
    limbs = list(joint_indices(body, layout("limbs12")))
    hips = [body.index("left_hip"), body.index("right_hip")]
    views = MadeViews(
        sequences,
        config,
        WindowShape(card.window),
        layout(card.input_layout),
        card.input,
        features=3,
        stride=2,
        fps=card.fps,
        batch_size=BATCH,
        seed=SEED,
    )
    rows = []
    with torch.inference_mode():
        for step in range(BATCHES):
            batch = views.batch(0, step)
            assert batch.positions is not None
            predicted, true = (
                joints[:, 0, limbs] - joints[:, 0, hips].mean(1, keepdim=True)
                for joints in (model(batch.inputs)[0], batch.positions)
            )
            similar = errors_mm(align_similarity(predicted, true), true).mean(1)
            rows.append(
                torch.stack([errors_mm(predicted, true).mean(1), similar, batch.positions[:, 0, 0].norm(dim=-1)], dim=1)
            )
    return torch.cat(rows)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], set(sys.argv[4:]))
