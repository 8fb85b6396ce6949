"""Aligners on disk: the weights, and a card with all that is needed to use them. Only tensors are unpickled."""

import io
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, cast

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import nn

from pipelines import registry
from pipelines.aligners.base import AlignerNetwork, build_network
from pipelines.io import storage
from pipelines.io.card_lineage import SUBJECTS, Lineage, texts_of
from pipelines.io.torch_files import load_weights, read_hashed, require_fitting, weights_in
from schemas import __version__
from schemas.configs.train_aligner import PairsOf
from schemas.errors import UserError
from schemas.job_config import PluginConfig
from schemas.mistakes import why_no_card

FORMAT = "raylift.aligner/1"


class AlignerCard(BaseModel):
    """Everything that is needed to build an aligner."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format: Literal["raylift.aligner/1"] = FORMAT
    """Name and version of the format."""

    aligner: str
    """A name of the table `ALIGNERS`, or package.module:Class."""

    config: dict[str, Any]
    """The network's options."""

    pairs: PairsOf = "action"
    """Which recordings it was trained to bring in step."""

    version: str = __version__
    """Version of the package that wrote it."""

    lineage: Lineage = {}
    """Its origin: training run, digest of the tracks, names of the people it was trained on."""

    @property
    def subjects(self) -> list[str]:
        """Names of the people that it was trained on; empty if unknown."""
        return texts_of(self.lineage, SUBJECTS)

    @classmethod
    def of(cls, network: PluginConfig, **known: Any) -> "AlignerCard":
        """The card of a network as a config names it."""
        return cls(aligner=network.name, config=network.options, **known)


def save_aligner(uri: str, network: AlignerNetwork, card: AlignerCard) -> None:
    """Write an aligner; the file appears complete or not at all.

    Raises:
        RunFailed: The file cannot be written.
    """
    content, weights = io.BytesIO(), cast(nn.Module, network).state_dict()
    torch.save({"format": card.format, "card": card.model_dump_json(), "weights": weights}, content)
    storage.write_bytes(uri, content.getbuffer())


def load_aligner(
    uri: str, trust: str | None = None, sha256: str | None = None
) -> tuple[AlignerNetwork, AlignerCard, str]:
    """Read what `save_aligner` wrote: the network on the CPU in evaluation mode, its card, and the file's SHA-256.

    Args:
        uri: The file.
        trust: The class outside this package, package.module:Class, that the file may name.
        sha256: The file's hash, if it was read before: results name the aligner by it.

    Raises:
        UserError: There is no such file, it is damaged, it is no aligner of this version, it names a class that is not
            trusted, or it has changed since its hash was taken.
    """
    content, actual = read_hashed(uri, "checkpoint of train_aligner", sha256)
    card = _read_card(uri, content)
    registry.require_trusted(uri, "aligner", registry.ALIGNERS, card.aligner, card.config, trust)
    config, weights = (
        PluginConfig.model_validate({"name": card.aligner, **card.config}),
        weights_in(uri, content, "weights"),
    )
    build = cast(Any, partial(build_network, config))
    try:
        require_fitting(uri, build, weights)  # before memory is allocated, as the options may claim any size
        network: Any = build()
    except ValidationError as error:
        mistake = error.errors()[0]
        path = ".".join(["network", *map(str, mistake["loc"])])
        raise UserError(
            f"{uri}: {path}={mistake['input']}: {mistake['msg']}; it was written by raylift {card.version}"
        ) from error
    load_weights(uri, network, weights)
    return network.eval(), card, actual


def read_card(uri: str) -> tuple[AlignerCard, str]:
    """The card of an aligner's file and the file's hash, without the network.

    Raises:
        UserError: There is no such file, it is damaged, or it is no aligner of this version.
    """
    content, sha256 = read_hashed(uri, "checkpoint of train_aligner")
    return _read_card(uri, content), sha256


def _read_card(uri: str, content: Mapping[str, Any]) -> AlignerCard:
    if content.get("format") != FORMAT:
        raise UserError(f"{uri}: is no aligner of this version; give best.pt of raylift train_aligner")
    try:
        return AlignerCard.model_validate_json(content["card"])
    except (ValidationError, KeyError) as error:
        raise UserError(f"{uri}: {why_no_card(error)}") from error
