"""The detector `hrnet`."""

from typing import ClassVar

from pydantic import Field, field_validator

from pipelines.detectors.hrnet.checkpoint import load_hrnet
from pipelines.detectors.topdown.detector import TopDown, use_threads
from pipelines.detectors.topdown.net import build_net
from pipelines.detectors.topdown.options import TopDownConfig
from pipelines.detectors.weights import Weights, named, parse_size
from pipelines.io.unknown_origin import blamed
from schemas.configs.train_detector import CropSize
from schemas.job_config import JobConfig

_DEFAULT_SIZE = "256x192"
# Both sides of the input must be multiples of this, because the network's lowest resolution is 1/32 of its input.
_COARSEST = 32


class HrnetConfig(TopDownConfig):
    """The options of `detector.name=hrnet`."""

    weights: Weights
    """Checkpoint (any URI): the authors' pose_hrnet_*.pth, mmpose's or train_detector's; random:SEED for tests."""

    input_size: CropSize | None = None
    """HEIGHTxWIDTH of the crops in training, pixels; by default as train_detector recorded it, else 256x192."""

    channels: int | None = Field(default=None, ge=1, le=128)
    """Width of the network: 32 is W32, 48 is W48; by default that of the weights, and 32 for random weights."""

    layout: str | None = None
    """Joints of the weights; by default as train_detector recorded them, else coco17 or mpii16 by their number."""

    @field_validator("input_size")
    @classmethod
    def _whole_pixels(cls, size: str | None) -> str | None:
        if size is not None:
            parse_size(size, _COARSEST)
        return size


class Hrnet(TopDown):
    """HRNet of any width; implements `pipelines.detectors.base.KeypointEstimator`.

    Args:
        config: The options, an `HrnetConfig`.
        threads: CPU threads.
        device: A torch device string.

    Raises:
        UserError: The weights of the network or of the person finder are missing, damaged or of another architecture.
    """

    Config: ClassVar[type[JobConfig]] = HrnetConfig

    def __init__(self, config: JobConfig, threads: int, device: str) -> None:
        assert isinstance(config, HrnetConfig)
        use_threads(threads)
        with named("detector.weights"), blamed(config.weights):
            loaded = load_hrnet(config.weights, config.channels, config.layout)
            size = config.input_size or (loaded.card.input_size if loaded.card else _DEFAULT_SIZE)
            input_wh = parse_size(size, _COARSEST)
        # This format was measured to be up to 1.7 times as fast on CPUs, and tensor cores of GPUs work in it.
        channels_last = config.channels_last is not False
        net = build_net(
            *(loaded.network, loaded.network.final_layer, loaded.layout, input_wh),
            *(config, threads, device, channels_last),
        )
        if loaded.card and config.sigma is None:
            config = config.model_copy(update={"sigma": loaded.card.sigma})
        super().__init__(net, config, threads, device, loaded.sha256)
