"""Chooses the tracks, the output and the device of an evaluation, and checks them before anything is computed."""

import torch

from pipelines.evaluate.compared import compared_layout
from pipelines.io import storage
from pipelines.io.gpus import begin_on, has_gpu
from pipelines.lifters.checkpoint import LifterCard, require_layout
from pipelines.mlflow_runs import model_uris
from pipelines.tracks import keypoint_reader
from pipelines.tracks.keypoint_reader import TrackInfo
from pipelines.tracks.selection import Choice
from schemas.configs.evaluate import EvaluateConfig
from schemas.errors import UserError


def choose_tracks(config: EvaluateConfig, card: LifterCard) -> list[TrackInfo]:
    """The tracks to score on; their metadata are checked against what the lifter reads and predicts.

    Raises:
        UserError: There are no tracks, none is chosen, layouts differ, or labels are missing that by_subject needs.
    """
    tracks = keypoint_reader.survey(config.data, Choice(config.subjects, config.actions, config.cameras), field="data")
    require_layout(card, tracks[0].layout)
    compared_layout(card, (track.positions_layout for track in tracks))
    if config.by_subject and all(track.positions_layout is None for track in tracks):
        raise UserError(
            f"by_subject=true: none of {len(tracks)} tracks has positions to compare with; leave it out, "
            "or give labeled tracks (raylift import_poses)"
        )
    return tracks


def output_folder(config: EvaluateConfig) -> str:
    """Where `metrics.json` goes: the configured output, or else a folder beside the model.

    Raises:
        UserError: No output is configured, and the model is not a file on this machine.
    """
    if config.output is not None:
        return config.output
    if model_uris.is_registered(config.model):
        raise UserError(f"output: is required for a registered model ({config.model}); give output=…")
    if not storage.is_local(config.model):
        raise UserError(f"output: is required for a model that is not on this machine ({config.model}); give output=…")
    folder, _, name = storage.absolute(config.model).rpartition("/")
    return storage.join(folder, f"evaluation_{name.partition('.')[0]}")


def choose_device(name: str, field: str = "device") -> torch.device:
    """The device with this name; "auto" is NVIDIA's GPU, if this machine has one.

    Args:
        name: Of the device.
        field: The config's field that names it.

    Raises:
        UserError: This machine has no such GPU.
    """
    device = torch.device(("cuda" if has_gpu() else "cpu") if name == "auto" else name)
    begin_on(device)
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise UserError(f"{field}={name}: this machine has {count} GPUs that PyTorch can use; give {field}=cpu")
    return device
