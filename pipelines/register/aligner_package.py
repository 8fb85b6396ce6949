"""Packages an aligner as an MLflow model: the exported network, its card, the checkpoint, and code that serves it."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from torch import nn
from torch.export import Dim

from pipelines.aligners.base import COORDINATES, AlignerNetwork
from pipelines.aligners.checkpoint import AlignerCard
from pipelines.aligners.sequences import RATE
from pipelines.register import serving_aligner
from pipelines.register.export import saved, tracing
from pipelines.register.package import requirements, write_artifacts
from pipelines.tracks.normalised import LIMBS, TRUNK
from schemas.errors import UserError

FORMAT = "raylift.served_aligner/1"
# Frames of the example, and the largest difference between exported and original embeddings, as a share of their size.
_FRAMES, _TOLERANCE = 40, 1e-4


def pack(
    folder: str, aligner: bytes, network: AlignerNetwork, card: AlignerCard, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the files of a served aligner into a folder; returns what MLflow is told of them.

    Args:
        folder: Where they go.
        aligner: The bytes of the file that `save_aligner` wrote.
        network: The network in that file, on the CPU and in evaluation mode.
        card: The card in that file.
        about: Further entries of the model's metadata in MLflow.

    Raises:
        UserError: The network cannot be exported.
    """
    program, dimensions = export(network)
    served = {
        "format": FORMAT,
        "version": card.version,
        "aligner": card.aligner,
        "joints": list(LIMBS.joints),
        "trunk": list(TRUNK),
        "fps": RATE,
        "window": network.window,
        "dimensions": dimensions,
    }
    keypoints = f"frames × {len(LIMBS)} joints of {LIMBS.name} × 2 (x, y) or 3 (x, y, score), px"
    inputs = {"keypoints": keypoints, "fps": "frames per second"}
    outputs: list[ColSpec | TensorSpec] = [
        TensorSpec(np.dtype(np.float64), (-1,), "times_s"),
        TensorSpec(np.dtype(np.float32), (-1, dimensions), "embeddings"),
    ]
    points = np.random.default_rng(0).uniform((480, 270), (1440, 810), (_FRAMES, len(LIMBS), 2)).round(1)
    return {
        "python_model": str(Path(serving_aligner.__file__)),
        "artifacts": write_artifacts(folder, "aligner", aligner, program, served),
        "signature": ModelSignature(outputs=Schema(outputs)),
        "input_example": {"keypoints": points, "fps": np.array([RATE])},
        "pip_requirements": requirements(),
        "metadata": {"raylift": {**served, "inputs": inputs, **about}},
    }


def export(network: AlignerNetwork) -> tuple[bytes, int]:
    """Trace a network, and check that the program embeds the same; returns its bytes and the numbers of an embedding.

    Args:
        network: On the CPU and in evaluation mode.

    Raises:
        UserError: The network cannot be traced, or the program gives other embeddings.
    """
    module = cast(nn.Module, network)
    example = torch.rand((1, 3 * network.window, COORDINATES), generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), tracing():
        try:
            program = torch.export.export(module, (example,), dynamic_shapes=({1: Dim.AUTO},))
        except Exception as error:
            # Tracing runs the network's code, which may raise any exception.
            reason = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
            raise UserError(
                f"aligner: {type(module).__name__} cannot be exported by torch.export: {reason}; "
                "make its forward pass traceable"
            ) from error
        content = saved(program, "aligner")
        loaded = torch.export.load(io.BytesIO(content)).module()
        # The program is tested on the shortest recording with its ends repeated, and on a longer one.
        for frames in (max(2, 2 * network.window - 1), 5 * network.window + 1):
            poses = torch.rand((1, frames, COORDINATES), generator=torch.Generator().manual_seed(1))
            own, exported = module(poses), loaded(poses)
            # `not <=` is used instead of `>`, so that NaN is an error too.
            if not (own - exported).abs().max() <= _TOLERANCE * own.abs().max().clamp(min=1):
                raise UserError(
                    f"aligner: as exported by torch.export, embeds something else over {frames} frames; let its "
                    "forward pass branch on shapes, not on values"
                )
    return content, int(own.shape[-1])
