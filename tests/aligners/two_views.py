"""Recordings of made actions, each by two cameras."""

from dataclasses import replace

import torch
from curation.clips import clip
from datasets.moving_people import H36M

from pipelines.aligners.base import build_network
from pipelines.aligners.checkpoint import AlignerCard, save_aligner
from pipelines.aligners.sequences import Sequence, of_keypoints
from pipelines.tracks.keypoint_track import KeypointTrack
from schemas.configs.train_aligner import TrainAlignerConfig

SMALL = TrainAlignerConfig.model_validate(
    {
        "tracks": "tracks",
        "output": "out",
        "network": {"name": "dilated_conv", "channels": 16, "dimensions": 8},
        "data": {"pairs": "take", "validation_subjects": ["S2"]},
        "optimization": {"epochs": 2, "steps": 3, "batch_pairs": 2},
    }
)


def tracks() -> list[KeypointTrack]:
    """Takes of two people; the second camera has other detections of the same motion."""
    made = []
    for number in range(4):
        one = replace(clip(number), subject=f"S{1 + number // 3}", action=f"act{number}", layout=H36M.name)
        for camera in ("C0", "C1"):
            keypoints = one.keypoints if camera == "C0" else one.keypoints * 0.5 + 200
            made.append(replace(one, keypoints=keypoints, camera=camera, track_id=f"t{number}{camera}"))
    return made


def groups() -> dict[str, list[Sequence]]:
    """Their sequences by take."""
    by_take: dict[str, list[Sequence]] = {}
    for track in tracks():
        by_take.setdefault(f"{track.subject} {track.action}", []).append(of_keypoints(track))
    return by_take


def write_aligner(uri: str, seed: int = 0, **lineage: str) -> str:
    """An aligner that has learnt nothing, with an origin; returns where."""
    torch.manual_seed(seed)
    save_aligner(uri, build_network(SMALL.network), AlignerCard.of(SMALL.network, pairs="take", lineage=lineage))
    return uri
