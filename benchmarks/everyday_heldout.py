"""How well a lifter does on held-out motion seen by made cameras and a made detector, as in its training.

python benchmarks/everyday_heldout.py MODEL TRACKS SUBJECT…

P-MPJPE and MPJPE of the 12 limb joints about the middle of the hips, mm, by elevation and distance of the camera.
"""

import sys

import torch

from pipelines.lifters.checkpoint import load_lifter
from pipelines.mlflow_runs import model_uris
from pipelines.pose.metrics import align_similarity, errors_mm
from pipelines.sampling.made_views import MadeViews
from pipelines.sampling.sequences import concatenate
from pipelines.sampling.windows import WindowShape
from pipelines.tracks.keypoint_reader import read_rows, survey
from schemas.configs.made_views import MadeViewsConfig
from schemas.layouts import joint_indices, layout

BATCHES, BATCH = 20, 512
# Seed of the views: no training has seen it.
SEED = 12345


def main(model_address: str, tracks: list[str], subjects: set[str]) -> None:
    """Print the table."""
    model, card = load_lifter(model_uris.fetch(model_address).file)
    body = layout(card.output_layout)
    limbs = list(joint_indices(body, layout("limbs12")))
    hips = [body.index("left_hip"), body.index("right_hip")]
    held_out = [track for track in survey(tracks) if track.subject in subjects]
    sequences = concatenate(
        read_rows(held_out),
        layout=layout(card.input_layout),
        features=3,
        positions_layout=body,
        lifter_input=card.input,
    )
    views = MadeViews(
        sequences,
        MadeViewsConfig(),
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
            rows.append(
                torch.stack(
                    [
                        errors_mm(predicted, true).mean(1),
                        errors_mm(align_similarity(predicted, true), true).mean(1),
                        batch.positions[:, 0, 0].norm(dim=-1),
                    ],
                    dim=1,
                )
            )
    root, similar, distance_m = torch.cat(rows).unbind(1)
    print(f"{len(held_out)} tracks of {', '.join(sorted(subjects))}, {len(root)} views")
    print(f"{'distance, m':<14}{'MPJPE, mm':>12}{'P-MPJPE, mm':>14}")
    for near, far in ((1.5, 9), (1.5, 2.5), (2.5, 4), (4, 9)):
        where = (distance_m >= near) & (distance_m < far)
        print(f"{f'{near:g} to {far:g}':<14}{root[where].mean():>12.1f}{similar[where].mean():>14.1f}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2].split(","), set(sys.argv[3:]))
