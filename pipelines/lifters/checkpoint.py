"""Lifters on disk: the weights, and a card with all that is needed to use them. Only tensors are unpickled."""

import io
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipelines import registry
from pipelines.io import storage
from pipelines.io.card_lineage import SUBJECTS, Lineage, texts_of
from pipelines.io.torch_files import load_weights, read_hashed, require_fitting, weights_in
from pipelines.lifters.model import LiftingModel, build_model
from pipelines.lifters.supermask import packed, stored_form, unpacked
from schemas import __version__
from schemas.configs.made_views import DetectorErrorsConfig
from schemas.configs.train import LifterInput
from schemas.errors import UserError
from schemas.frame_window import FrameWindow
from schemas.job_config import JobConfig, PluginConfig
from schemas.layouts import layout
from schemas.mistakes import why_no_card

FORMAT = "raylift.lifter/2"
# The earlier format, whose cards have a receptive field in place of the window.
FORMAT_1 = "raylift.lifter/1"


class LifterCard(BaseModel):
    """Everything that is needed to build a lifter and to give it the right input."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format: Literal["raylift.lifter/2"] = FORMAT
    """Name and version of the format."""

    lifter: str
    """A name of the table `LIFTERS`, or package.module:Class."""

    config: dict[str, Any]
    """The lifter's options."""

    input_layout: str
    """Joints of the keypoints it reads."""

    output_layout: str
    """Joints of the poses it predicts."""

    trajectory: bool
    """Whether it predicts the root's trajectory."""

    fps: float = Field(gt=0, le=10_000)
    """Frames per second of the tracks it was trained on."""

    window: FrameWindow
    """The frames it reads, and which of them it predicts."""

    input: LifterInput = "screen"
    """How keypoints are given to it; cards written before 0.2.0 lack it."""

    detector_errors: DetectorErrorsConfig | None = None
    """Errors that the keypoints of its training were made with, by which it knows where a detector sees joints; None if
    it was trained on keypoints as they came."""

    version: str = __version__
    """Version of the package that wrote it."""

    lineage: Lineage = {}
    """Its origin: training run, digest of the data, names of the people it was trained on, notes of its authors."""

    @classmethod
    def of_published(cls, uri: str, lifter: str, config: JobConfig, model: LiftingModel, fps: float) -> "LifterCard":
        """The card of a published checkpoint.

        Args:
            uri: The file.
            lifter: Name of the lifter in the table.
            config: Its options.
            model: The model with its weights.
            fps: Frames per second of what it was trained on.
        """
        return cls(
            lifter=lifter,
            config=config.model_dump(mode="json"),
            input_layout=model.pose.input_layout.name,
            output_layout=model.pose.output_layout.name,
            trajectory=model.trajectory is not None,
            fps=fps,
            window=model.pose.window,
            lineage={"published": uri},
        )

    @property
    def subjects(self) -> list[str]:
        """Names of the labeled people that it was trained on; empty if unknown."""
        return texts_of(self.lineage, SUBJECTS)

    @model_validator(mode="before")
    @classmethod
    def _of_format_1(cls, values: Any) -> Any:
        """A card of format 1, whose receptive field lies around the predicted frame, or before it if it is causal."""
        if not isinstance(values, dict) or values.get("format") != FORMAT_1:
            return values
        frames, config = values.get("receptive_field"), values.get("config")
        if not isinstance(frames, int) or not isinstance(config, dict):
            return values
        kept = {name: value for name, value in values.items() if name != "receptive_field"}
        window = FrameWindow.sliding(frames, causal=bool(config.get("causal")))
        return kept | {"format": FORMAT, "window": window}


def save_lifter(uri: str, model: LiftingModel, card: LifterCard) -> None:
    """Write a model with its card; the file appears complete or not at all.

    Raises:
        RunFailed: The file cannot be written.
    """
    content = io.BytesIO()
    torch.save({"format": card.format, "card": card.model_dump_json(), "weights": packed(model)}, content)
    storage.write_bytes(uri, content.getbuffer())


def load_lifter(uri: str, trust: str | None = None, sha256: str | None = None) -> tuple[LiftingModel, LifterCard]:
    """Read what `save_lifter` wrote; the model is on the CPU, in evaluation mode.

    Args:
        uri: The file.
        trust: The class outside this package, package.module:Class, that the file may name.
        sha256: The file's hash, if it was read before: results name the model by it.

    Raises:
        UserError: There is no such file, it is damaged, or it has another format, version or architecture, it names a
            class that is not trusted, or it has changed since its hash was taken.
    """
    content, _ = read_hashed(uri, "lifter", sha256)
    card = _read_card(uri, content)
    registry.require_trusted(uri, "lifter", registry.LIFTERS, card.lifter, card.config, trust)
    config, weights = (
        PluginConfig.model_validate({"name": card.lifter, **card.config}),
        weights_in(uri, content, "weights"),
    )
    joints = layout(card.input_layout), layout(card.output_layout)
    build = partial(build_model, config, *joints, card.trajectory, card.input)
    try:
        require_fitting(uri, build, weights, stored_form)
        model = build()
    except ValidationError as error:
        mistake = error.errors()[0]
        path = ".".join(["lifter", *map(str, mistake["loc"])])
        raise UserError(
            f"{uri}: {path}={mistake['input']}: {mistake['msg']}; it was written by raylift {card.version}"
        ) from error
    load_weights(uri, model, unpacked(uri, model, weights))
    # Cards of format 1 do not always tell which frame a lifter predicts.
    return model.eval(), card.model_copy(update={"window": model.pose.window})


def read_card(uri: str) -> tuple[LifterCard, str]:
    """The card of a lifter's file and the file's hash, without the lifter.

    Raises:
        UserError: There is no such file, it is damaged, or it has another format or version.
    """
    content, sha256 = read_hashed(uri, "lifter")
    return _read_card(uri, content), sha256


def require_layout(card: LifterCard, layout_name: str) -> None:
    """Check that data have the joints that a lifter reads.

    Raises:
        UserError: The data lack a joint, or have another layout.
    """
    missing = [joint for joint in layout(card.input_layout).joints if joint not in layout(layout_name).joints]
    if missing:
        raise UserError(
            f"layout: the keypoints are {layout_name}, the lifter was trained on {card.input_layout}; "
            f"label with {card.input_layout}, or take a lifter for {layout_name}, which lacks {', '.join(missing[:3])}"
        )


def _read_card(uri: str, content: Mapping[str, Any]) -> LifterCard:
    if "format" not in content:
        keys = ", ".join(list(map(str, content))[:3])
        raise UserError(
            f"{uri}: is no Raylift lifter (keys: {keys}, …); raylift import_lifter makes one of a published one"
        )
    if content["format"] not in (FORMAT, FORMAT_1):
        raise UserError(f"{uri}: format is {content['format']!r}, this version reads {FORMAT!r}; upgrade raylift")
    try:
        return LifterCard.model_validate_json(content["card"])
    except (ValidationError, KeyError) as error:
        raise UserError(f"{uri}: {why_no_card(error)}") from error
