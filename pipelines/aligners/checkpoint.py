"""Aligners on disk: the weights and the options of the network. Only tensors are unpickled."""

import io
from functools import partial

import torch
from pydantic import ValidationError

from pipelines.aligners.network import Aligner
from pipelines.io import storage
from pipelines.io.torch_files import load_weights, read_hashed, require_fitting
from schemas.configs.train_aligner import AlignerNetworkConfig
from schemas.errors import UserError

FORMAT = "raylift.aligner/1"


def save_aligner(uri: str, model: Aligner, config: AlignerNetworkConfig) -> None:
    """Write an aligner; the file appears complete or not at all.

    Raises:
        RunFailed: It cannot be written.
    """
    content = io.BytesIO()
    torch.save({"format": FORMAT, "config": config.model_dump_json(), "weights": model.state_dict()}, content)
    storage.write_bytes(uri, content.getbuffer())


def load_aligner(uri: str) -> tuple[Aligner, str]:
    """Read what `save_aligner` wrote: the aligner on the CPU in evaluation mode, and the file's SHA-256.

    Raises:
        UserError: There is no such file, it is damaged, or it is no aligner of this version.
    """
    content, sha256 = read_hashed(uri, "checkpoint of train_aligner")
    if content.get("format") != FORMAT:
        raise UserError(f"{uri}: is no aligner of this version; give best.pt of python -m jobs.train_aligner")
    try:
        build = partial(Aligner, AlignerNetworkConfig.model_validate_json(content["config"]))
    except (ValidationError, KeyError, TypeError) as error:
        raise UserError(f"{uri}: its options are damaged; copy it again") from error
    weights = content.get("weights", {})
    require_fitting(uri, build, weights)  # before memory is taken: the options may claim any size
    model = build()
    load_weights(uri, model, weights)
    return model.eval(), sha256
