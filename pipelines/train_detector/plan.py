"""The people, the network and the initial weights of a detector's training, checked before anything starts.

PyTorch is loaded only where it is needed, because a job that finds its output finished needs it only if the training
begins with a checkpoint.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines import registry
from pipelines.annotations.people.source import Part, PeopleSource, digest_of
from pipelines.detectors.vitpose.shape import VitposeShape
from pipelines.detectors.weights import absolute, parse_size
from pipelines.io import storage
from pipelines.train_detector.canvas_shape import CanvasShape
from schemas.configs.train_detector import Detector, TrainDetectorConfig
from schemas.errors import UserError
from schemas.job_config import PluginConfig, options_of
from schemas.layouts import JointLayout

if TYPE_CHECKING:
    from pipelines.sampling.order import EpochOrder
    from pipelines.train_detector.initial_weights import Start

_DEFAULT_SIZE = "256x192"
# The number of channels of HRNet-W32.
_DEFAULT_CHANNELS = 32
# For inputs of at least this size, the published targets are wider.
_LARGE_INPUT_WH = (288, 384)


@dataclass(frozen=True)
class NetPlan:
    """The network to train, as the workers need to know it.

    Attributes:
        detector: A name of the table `DETECTORS`.
        shape: The canvases that it learns from, and the size of its input.
        input_size: HEIGHTxWIDTH of its input, pixels.
        channels: Channels of HRNet's branch of full resolution, or of ViTPose's tokens.
        all_branches: Whether HRNet predicts from all branches.
        sigma: Standard deviation of the target heatmaps' Gaussians, heatmap pixels.
        weights: Checkpoint (URI) with the initial weights; None: fresh weights.
        vitpose: The size of a ViTPose.
    """

    detector: Detector
    shape: CanvasShape
    input_size: str
    channels: int
    all_branches: bool
    sigma: float
    weights: str | None
    vitpose: VitposeShape | None = None

    @property
    def udp(self) -> bool:
        """Whether heatmaps are made and read by UDP (Huang et al. 2020), as the published ViTPose does."""
        return self.detector == "vitpose"


@dataclass(frozen=True)
class CropFiles:
    """Files (URIs) of the crop cache, one for each part, in the order of the plan.

    Attributes:
        training: People to learn from.
        validation: People who are held out.
    """

    training: tuple[str, ...]
    validation: tuple[str, ...]


@dataclass(frozen=True)
class DetectorPlan:
    """A training's people and network.

    Attributes:
        training: People to learn from.
        validation: People by whom the best epoch is selected.
        layout: Their joints.
        net: The network.
        start: The checkpoint with the initial weights; None: fresh weights.
        digest: Digest of everything that is learned from, except for pixels.
    """

    training: Sequence[Part]
    validation: Sequence[Part]
    layout: JointLayout
    net: NetPlan
    start: "Start | None"
    digest: str

    @property
    def fresh_head(self) -> bool:
        """Whether the checkpoint's last layer does not fit, so that training starts with a fresh one."""
        start = self.start
        return start is not None and (start.layout, start.all_branches) != (self.layout.name, self.net.all_branches)


def plan_training(config: TrainDetectorConfig) -> DetectorPlan:
    """Read the annotations of all people and the checkpoint with the initial weights, if any.

    Raises:
        UserError: There are no people, validation has other joints, people are both trained and validated on, or the
            checkpoint is of another network.
    """
    joints, training = _people(config.data)
    validation: Sequence[Part] = []
    if config.validation is not None:
        validation_joints, validation = _people(config.validation)
        if validation_joints != joints:
            raise UserError(
                f"validation: its joints are {validation_joints.name}, those of data {joints.name}; give the same"
            )
        if {part.digest for part in validation} & {part.digest for part in training}:
            raise UserError("validation: holds what is trained on; give people that data does not have")
    if config.weights is None:
        start, net = None, _net(config, joints.name, None)
    else:
        from pipelines.train_detector.initial_weights import check_start, read_start

        start = read_start(absolute(config.weights), config.detector)
        net = _net(config, joints.name, start)
        check_start(net, start)
    parts = [[part.digest for part in parts] for parts in (training, validation)]
    digest = digest_of(parts, net.shape, start and start.sha256)
    return DetectorPlan(training, validation, joints, net, start, digest)


def crop_files(output: str, plan: DetectorPlan) -> CropFiles:
    """The files of the crop cache in an output."""
    folder = storage.join(storage.absolute(output), "canvases")
    return CropFiles(
        *(
            tuple(storage.join(folder, f"{digest_of(part.digest, plan.net.shape)}.arrow") for part in parts)
            for parts in (plan.training, plan.validation)
        )
    )


def training_order(config: TrainDetectorConfig, people: int) -> "EpochOrder":
    """Which people are in which batch.

    Raises:
        UserError: The smallest batch has fewer people than there are workers.
    """
    from pipelines.sampling.order import EpochOrder, require_work

    optimization = config.optimization
    # The order mirrors nobody, because augmentation decides that.
    order = EpochOrder(people, optimization.batch_size, optimization.seed, "none")
    require_work(order.smallest_batch, config.resources.num_workers)
    return order


def _people(config: PluginConfig) -> tuple[JointLayout, Sequence[Part]]:
    plugin = registry.load(registry.PEOPLE_SOURCES, config.name)
    with options_of("data"):
        source: PeopleSource = plugin(plugin.Config(**config.options))
    return source.parts()


def _net(config: TrainDetectorConfig, joints: str, start: "Start | None") -> NetPlan:
    network, card = config.network, start.card if start else None
    if start and network.channels not in (None, start.channels):
        raise UserError(
            f"network.channels={network.channels}: {start.uri} has {start.channels}; "
            "leave network.channels out, or give other weights"
        )
    channels = network.channels or (start.channels if start else _DEFAULT_CHANNELS)
    size = network.input_size or (start.input_size if start else None) or _DEFAULT_SIZE
    input_wh = parse_size(size, 1)
    large = input_wh[0] >= _LARGE_INPUT_WH[0] and input_wh[1] >= _LARGE_INPUT_WH[1]
    sigma = float(network.sigma or (card.sigma if card else 3 if large else 2))
    shape = CanvasShape.for_net(joints, input_wh, 1 + config.augmentation.scale)
    all_branches = start.all_branches if start and network.all_branches is None else bool(network.all_branches)
    vitpose = start.vitpose if start else None
    return NetPlan(config.detector, shape, size, channels, all_branches, sigma, start.uri if start else None, vitpose)
