"""What a training of a detector is: its people, its net and what it begins with, checked before anything starts."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from pipelines import registry
from pipelines.annotations.people.source import Part, PeopleSource, digest_of
from pipelines.detectors.hrnet.checkpoint import W32
from pipelines.detectors.hrnet.network import HrnetNetwork
from pipelines.detectors.weights import parse_size
from pipelines.io import storage
from pipelines.sampling.order import EpochOrder, require_work
from pipelines.train_detector.crop_cache import CanvasShape
from pipelines.train_detector.initial_weights import Start, begin_with, read_start
from schemas.configs.train_detector import TrainDetectorConfig
from schemas.errors import UserError
from schemas.job_config import PluginConfig
from schemas.layouts import JointLayout, layout

_DEFAULT_SIZE = "256x192"
# From this input on targets are wider, as published.
_LARGE_INPUT_WH = (288, 384)
# The lowest resolution of the network is a 32nd of its input.
_COARSEST = 32


@dataclass(frozen=True)
class NetPlan:
    """The net to train; travels to the workers.

    Attributes:
        shape: Of the canvases it learns from, its input among them.
        input_size: HEIGHTxWIDTH of its input, pixels.
        channels: Of its branch of full resolution.
        all_branches: Whether it predicts from all branches.
        sigma: Deviation of the targets, heatmap pixels.
        weights: Checkpoint that it begins with (URI); None: fresh weights.
    """

    shape: CanvasShape
    input_size: str
    channels: int
    all_branches: bool
    sigma: float
    weights: str | None


@dataclass(frozen=True)
class DetectorPlan:
    """A training's people and net.

    Attributes:
        training: Those to learn from.
        validation: Those to select the best epoch by.
        layout: Their joints.
        net: The net.
        start: What it begins with; None: fresh weights.
        digest: Of all that is learned from, pixels left out.
    """

    training: Sequence[Part]
    validation: Sequence[Part]
    layout: JointLayout
    net: NetPlan
    start: Start | None
    digest: str

    @property
    def fresh_head(self) -> bool:
        """Whether a net that is trained already begins with a last layer that is not."""
        start = self.start
        return start is not None and (start.layout, start.all_branches) != (self.layout.name, self.net.all_branches)


def plan_training(config: TrainDetectorConfig) -> DetectorPlan:
    """Read what is known of all people, and of the checkpoint to begin with.

    Raises:
        UserError: No people, other joints in validation, people who are trained and validated on, or a checkpoint
            that is not one of this net.
    """
    joints, training = _people(config.data)
    validation: Sequence[Part] = []
    if config.validation is not None:
        found, validation = _people(config.validation)
        if found != joints:
            raise UserError(f"validation: its joints are {found.name}, those of data {joints.name}; give the same")
        if {part.digest for part in validation} & {part.digest for part in training}:
            raise UserError("validation: holds what is trained on; give people that data does not have")
    start = None if config.weights is None else read_start(storage.absolute(config.weights))
    net = _net(config, joints.name, start)
    if start is not None:
        with torch.device("meta"):
            begin_with(make_network(net), joints.name, start)
    parts = [[part.digest for part in parts] for parts in (training, validation)]
    digest = digest_of(parts, net.shape, start and start.sha256)
    return DetectorPlan(training, validation, joints, net, start, digest)


def make_network(net: NetPlan) -> HrnetNetwork:
    """The network of a training, with fresh weights.

    Filters are of He's scale. The authors' 0.001, fit for a trunk that a trained one replaces, is no longer than a step
    of Adam's: measured, half as fast to learn from nothing.
    """
    network = HrnetNetwork(net.channels, len(layout(net.shape.layout)), net.all_branches)
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module is not network.final_layer:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def canvas_file(output: str, part: Part, net: NetPlan) -> str:
    """Where the canvases of a part lie (URI)."""
    return storage.join(storage.absolute(output), "canvases", f"{digest_of(part.digest, net.shape)}.arrow")


def training_order(config: TrainDetectorConfig, people: int) -> EpochOrder:
    """Who is in which batch.

    Raises:
        UserError: There are fewer than the workers need.
    """
    optimization = config.optimization
    # Mirrored or not is a coin of the augmentation's.
    order = EpochOrder(people, optimization.batch_size, optimization.seed, "none")
    require_work(order.smallest_batch, config.resources.num_workers)
    return order


def _people(config: PluginConfig) -> tuple[JointLayout, Sequence[Part]]:
    plugin = registry.load(registry.PEOPLE_SOURCES, config.name)
    source: PeopleSource = plugin(plugin.Config(**config.options))
    return source.parts()


def _net(config: TrainDetectorConfig, joints: str, start: Start | None) -> NetPlan:
    given, card = config.network, start.card if start else None
    if start and given.channels not in (None, start.channels):
        raise UserError(
            f"network.channels={given.channels}: {start.uri} has {start.channels}; "
            "leave network.channels out, or give other weights"
        )
    channels = given.channels or (start.channels if start else W32)
    size = given.input_size or (card.input_size if card else _DEFAULT_SIZE)
    input_wh = parse_size(size, _COARSEST)
    large = input_wh[0] >= _LARGE_INPUT_WH[0] and input_wh[1] >= _LARGE_INPUT_WH[1]
    sigma = float(given.sigma or (card.sigma if card else 3 if large else 2))
    shape = CanvasShape.for_net(joints, input_wh, 1 + config.augmentation.scale)
    all_branches = start.all_branches if start and given.all_branches is None else bool(given.all_branches)
    return NetPlan(shape, size, channels, all_branches, sigma, start.uri if start else None)
