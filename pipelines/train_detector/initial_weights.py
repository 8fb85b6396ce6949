"""Initial weights of a detector: from our checkpoints, HRNet's authors', mmpose's, or an ImageNet classifier's."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipelines.detectors.card import DetectorCard, card_of
from pipelines.detectors.hrnet.checkpoint import published_weights, reads_all_branches
from pipelines.detectors.hrnet.network import HrnetNetwork
from pipelines.io.torch_files import read_hashed, require_shapes, shapes_of
from pipelines.train_detector.plan import NetPlan
from schemas.errors import UserError
from schemas.layouts import layout as joint_layout

# The joint layouts of published checkpoints, by their number of joints.
_PUBLISHED_LAYOUTS = {17: "coco17", 16: "mpii16"}
_HEAD = "final_layer."
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Start:
    """A checkpoint with initial weights.

    Attributes:
        uri: The file.
        sha256: Hash of the file.
        channels: Channels of its branch of full resolution.
        all_branches: Whether it predicts from all branches.
        layout: Its joint layout; None if it predicts no joints, or those of an unknown layout.
        card: The card that our training wrote; None for published weights.
        weights: Weights under the authors' names.
    """

    uri: str
    sha256: str
    channels: int
    all_branches: bool
    layout: str | None
    card: DetectorCard | None
    weights: dict[str, Tensor]


def read_start(uri: str) -> Start:
    """Read a checkpoint.

    Raises:
        UserError: There is no such file, it is damaged, or it is no HRNet.
    """
    content, sha256 = read_hashed(uri, "HRNet checkpoint")
    card = card_of(uri, content, "hrnet")
    weights = content["weights"] if card else published_weights(content)
    shapes = shapes_of(weights)
    if len(shapes.get("transition1.0.0.weight", ())) != 4:
        keys = ", ".join(list(shapes)[:3])
        raise UserError(f"weights={uri}: is no HRNet (keys: {keys}, …); expected conv1.weight to stage4.2.…")
    joints = shapes.get(f"{_HEAD}weight", (0,))[0]
    layout = card.layout if card else _PUBLISHED_LAYOUTS.get(joints)
    channels = shapes["transition1.0.0.weight"][0]
    return Start(uri, sha256, channels, reads_all_branches(shapes), layout, card, weights)


def make_network(net: NetPlan) -> HrnetNetwork:
    """The network of a training, with fresh weights.

    Filters are initialised after He et al. 2015. The authors use a standard deviation of 0.001, since trained weights
    replace theirs; from nothing, training was measured to be half as fast with it.
    """
    network = HrnetNetwork(net.channels, len(joint_layout(net.shape.layout)), net.all_branches)
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module is not network.final_layer:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def check_start(net: NetPlan, start: Start) -> None:
    """Check that the weights fit the network of a training.

    Raises:
        UserError: The checkpoint has another architecture.
    """
    with torch.device("meta"):
        begin_with(make_network(net), net.shape.layout, start)


def begin_with(network: HrnetNetwork, layout: str, start: Start) -> None:
    """Load the weights into a network, except for a last layer of other joints or other branches.

    Raises:
        UserError: The checkpoint has another architecture.
    """
    with torch.no_grad():
        own = network.state_dict()
        head = start.layout == layout and start.all_branches == network.all_branches
        names = [n for n in own if not n.endswith(_COUNTER) and (head or not n.startswith(_HEAD))]
        # A classifier's checkpoint has further layers, which are ignored.
        weights = {name: start.weights[name] for name in names if name in start.weights}
        require_shapes(f"weights={start.uri}", {name: tuple(own[name].shape) for name in names}, weights)
        for name, value in weights.items():
            own[name].copy_(value)
