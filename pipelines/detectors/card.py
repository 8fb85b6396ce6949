"""Files of keypoint networks trained by this project: a card that describes the network, and its weights."""

import io
from collections.abc import Mapping
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.detectors.vitpose.shape import VitposeShape
from pipelines.io import storage
from pipelines.io.card_lineage import ANNOTATIONS, Lineage, texts_of
from schemas import __version__
from schemas.configs.train_detector import CropSize
from schemas.errors import UserError
from schemas.mistakes import why_no_card

FORMAT = "raylift.detector/1"


class DetectorCard(BaseModel):
    """Description of a keypoint network: everything needed to build it and to prepare its input."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format: Literal["raylift.detector/1"] = FORMAT
    """Names the format and its version."""

    detector: str
    """A name of the table `DETECTORS`."""

    channels: int = Field(ge=1, le=65_536)
    """Channels of HRNet's branch of full resolution, or of ViTPose's tokens."""

    vitpose: VitposeShape | None = None
    """The rest of a ViTPose's size; None for other networks."""

    layout: str
    """Joint layout of the heatmaps."""

    input_size: CropSize
    """HEIGHTxWIDTH of the crops it was trained on, pixels."""

    sigma: float = Field(gt=0, le=100)
    """Deviation of the heatmaps it was trained on, heatmap pixels."""

    version: str = __version__
    """The package that wrote it."""

    lineage: Lineage = {}
    """Origin of the network: run, digests of data, the checkpoint that its training started from."""

    @property
    def annotations(self) -> list[str]:
        """SHA-256 of the annotations' files that it was trained on; empty if unknown."""
        return texts_of(self.lineage, ANNOTATIONS)


def save_detector(uri: str, network: torch.nn.Module, card: DetectorCard) -> None:
    """Write a network with its card, atomically.

    Raises:
        RunFailed: The file cannot be written.
    """
    content = io.BytesIO()
    torch.save(
        {"format": card.format, "card": card.model_dump_json(exclude_none=True), "weights": network.state_dict()},
        content,
    )
    storage.write_bytes(uri, content.getbuffer())


def card_of(uri: str, content: Mapping[str, Any], detector: str) -> DetectorCard | None:
    """The card of a checkpoint; None for a checkpoint that this project did not write.

    Raises:
        UserError: This project wrote it, but it has another format, version or detector, or its card is damaged.
    """
    if "format" not in content:
        return None
    if content["format"] != FORMAT:
        raise UserError(f"{uri}: format is {content['format']!r}, expected {FORMAT!r}; give a {detector} checkpoint")
    try:
        card = DetectorCard.model_validate_json(content["card"])
    except (ValidationError, KeyError, TypeError) as error:
        raise UserError(f"{uri}: {why_no_card(error)}") from error
    if card.detector != detector:
        raise UserError(f"{uri}: is a checkpoint for detector={card.detector}, not for detector={detector}")
    return card
