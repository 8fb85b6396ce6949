"""The detector `vitpose`."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from pipelines.detectors import pretrained
from pipelines.detectors.persons.base import PersonsConfig
from pipelines.detectors.topdown.decode import Decoding
from pipelines.detectors.topdown.detector import TopDown, use_threads
from pipelines.detectors.topdown.net import build_net
from pipelines.detectors.topdown.options import TopDownConfig
from pipelines.detectors.vitpose.network import load_vitpose
from pipelines.detectors.vitpose.sizes import PATCH, Variant
from pipelines.detectors.weights import Weights, parse_size
from schemas.configs.train_detector import CropSize
from schemas.errors import UserError
from schemas.job_config import JobConfig
from schemas.layouts import layout

_DEFAULT_WEIGHTS = "usyd-community/vitpose-base-simple"


class VitposeConfig(TopDownConfig):
    """The options of `detector.name=vitpose`."""

    weights: Weights = _DEFAULT_WEIGHTS
    """Folder of transformers (any URI), Hugging Face name, the authors' vitpose-*.pth, train_detector's best.pt, or
    random:SEED for tests."""

    variant: Variant = "b"
    """Size of a network with random weights: s, b, l, h, or s++ to h++; other weights determine it themselves."""

    input_size: CropSize | None = None
    """HEIGHTxWIDTH of the crops, pixels, multiples of 16; by default what the weights were trained on."""

    dataset: int = Field(default=0, ge=0, le=5)
    """Number of the dataset whose expert of ViTPose++ is used; 0 is COCO."""

    layout: str = "coco17"
    """Joints of the weights."""

    decode: Decoding = "udp"
    """How joints are read from heatmaps: udp, which the published weights need, quarter or dark."""

    @field_validator("input_size")
    @classmethod
    def _whole_patches(cls, size: str | None) -> str | None:
        if size is not None:
            parse_size(size, PATCH)
        return size


class Vitpose(TopDown):
    """ViTPose S, B, L, H and ++; implements `pipelines.detectors.base.KeypointEstimator`.

    Args:
        config: The options, a `VitposeConfig`.
        threads: CPU threads.
        device: A torch device string.

    Raises:
        UserError: The weights cannot be read or are not ViTPose's, or transformers cannot be loaded.
    """

    Config: ClassVar[type[JobConfig]] = VitposeConfig

    def __init__(self, config: JobConfig, threads: int, device: str) -> None:
        assert isinstance(config, VitposeConfig)
        use_threads(threads)
        joints = layout(config.layout)
        size = parse_size(config.input_size, PATCH) if config.input_size else None
        loaded = load_vitpose(config.weights, config.variant, len(joints), size, config.dataset)
        network, card = loaded.network, loaded.card
        if card and card.layout != config.layout:
            raise UserError(f"detector.layout={config.layout}: the weights were trained on {card.layout}; give that")
        if card and config.sigma is None:
            config = config.model_copy(update={"sigma": card.sigma})
        if network.joints != len(joints):
            raise UserError(
                f"detector.layout={config.layout}: has {len(joints)} joints, but the weights have {network.joints}; "
                "give the layout that they were trained on"
            )
        # Off by default, because it was measured to be slower on CPUs: only the patch embedding and the head use it.
        channels_last = config.channels_last is True
        net = build_net(*(network, network.head, joints, network.input_wh), *(config, threads, device, channels_last))
        super().__init__(net, config, threads, device, loaded.sha256)

    @staticmethod
    def fetch_weights(into: Path | None = None) -> Path:
        """Download the default weights, and those of the default person finder; returns the folder.

        Args:
            into: The folder to download to; None: Hugging Face's own cache.

        Raises:
            UserError: Hugging Face cannot be reached, or the folder cannot be written.
        """
        folders = [pretrained.fetch(name, into) for name in (_DEFAULT_WEIGHTS, PersonsConfig().weights)]
        return into or folders[0]
