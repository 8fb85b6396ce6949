"""Initial weights of a detector: from our checkpoints, the authors', mmpose's, transformers', or of a classifier."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipelines.detectors.card import DetectorCard, card_of
from pipelines.detectors.hrnet.checkpoint import published_weights, reads_all_branches
from pipelines.detectors.hrnet.network import HrnetNetwork
from pipelines.detectors.vitpose.network import VitposeNetwork, build_vitpose, load_vitpose
from pipelines.detectors.vitpose.shape import VitposeShape
from pipelines.detectors.vitpose.sizes import shape_of
from pipelines.io.torch_files import read_hashed, require_shapes, shapes_of, weights_in
from pipelines.train_detector.plan import NetPlan
from schemas.configs.train_detector import Detector
from schemas.errors import UserError
from schemas.layouts import layout as joint_layout

# The joint layouts of published checkpoints, by their number of joints.
_PUBLISHED_LAYOUTS = {17: "coco17", 16: "mpii16"}
_HEAD = "final_layer."
# The last layer of a ViTPose, by its two names.
_VITPOSE_HEADS = ("head.", "model.head.conv.")
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Start:
    """A checkpoint with initial weights.

    Attributes:
        uri: The file, or a folder or name of transformers.
        sha256: Hash of the file.
        channels: Channels of HRNet's branch of full resolution, or of ViTPose's tokens.
        layout: Its joint layout; None if it predicts no joints, or those of an unknown layout.
        card: The card that our training wrote; None for published weights.
        weights: HRNet's weights under the authors' names, or those of a `VitposeNetwork`.
        all_branches: Whether HRNet predicts from all branches.
        input_size: HEIGHTxWIDTH of the crops that it was trained on, px; None if unknown.
        vitpose: The size of a ViTPose.
    """

    uri: str
    sha256: str
    channels: int
    layout: str | None
    card: DetectorCard | None
    weights: dict[str, Tensor]
    all_branches: bool = False
    input_size: str | None = None
    vitpose: VitposeShape | None = None


def read_start(uri: str, detector: Detector, input_wh: tuple[int, int] | None = None) -> Start:
    """Read a checkpoint.

    Args:
        uri: The file, or a folder or name of transformers.
        detector: What it is of.
        input_wh: Width and height of the crops, px, for which ViTPose's position embeddings are interpolated; None: as
            they are.

    Raises:
        UserError: There is no such file, it is damaged, or it is of another detector.
    """
    return _read_vitpose(uri, input_wh) if detector == "vitpose" else _read_hrnet(uri)


def _read_hrnet(uri: str) -> Start:
    content, sha256 = read_hashed(uri, "HRNet checkpoint")
    card = card_of(uri, content, "hrnet")
    weights = weights_in(uri, content, "weights") if card else published_weights(uri, content)
    shapes = shapes_of(weights)
    if len(shapes.get("transition1.0.0.weight", ())) != 4:
        keys = ", ".join(list(shapes)[:3])
        raise UserError(f"weights={uri}: is no HRNet (keys: {keys}, …); expected conv1.weight to stage4.2.…")
    joints = shapes.get(f"{_HEAD}weight", (0,))[0]
    return Start(
        uri,
        sha256,
        channels=shapes["transition1.0.0.weight"][0],
        layout=card.layout if card else _PUBLISHED_LAYOUTS.get(joints),
        card=card,
        weights=weights,
        all_branches=reads_all_branches(shapes),
        input_size=card.input_size if card else None,
    )


def _read_vitpose(uri: str, input_wh: tuple[int, int] | None) -> Start:
    # Experts for other data sets than COCO are not loaded.
    loaded = load_vitpose(uri, "b", len(joint_layout(_PUBLISHED_LAYOUTS[17])), input_wh, dataset=0, field="weights")
    network, card = loaded.network, loaded.card
    shape, (width, height) = shape_of(network.model.config), network.input_wh
    layout = card.layout if card else _PUBLISHED_LAYOUTS.get(network.joints)
    weights = network.state_dict()
    return Start(uri, loaded.sha256, shape.width, layout, card, weights, input_size=f"{height}x{width}", vitpose=shape)


def make_network(net: NetPlan) -> HrnetNetwork | VitposeNetwork:
    """The network of a training, with fresh weights.

    HRNet's filters are initialised after He et al. 2015. The authors use a standard deviation of 0.001, since trained
    weights replace theirs; from nothing, training was measured to be half as fast with it.
    """
    joints = len(joint_layout(net.shape.layout))
    if net.vitpose is not None:
        return build_vitpose(net.vitpose, joints, net.shape.input_wh)
    network = HrnetNetwork(net.channels, joints, net.all_branches)
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module is not network.final_layer:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def check_start(net: NetPlan, start: Start) -> None:
    """Check that the weights fit the network of a training.

    Raises:
        UserError: The checkpoint has another architecture.
    """
    # The network of a ViTPose is built from its checkpoint, so it fits.
    if net.vitpose is None:
        with torch.device("meta"):
            begin_with(make_network(net), net.shape.layout, start)


def begin_with(network: HrnetNetwork | VitposeNetwork, layout: str, start: Start) -> None:
    """Load the weights into a network, except for a last layer of other joints or other branches.

    Raises:
        UserError: The checkpoint has another architecture.
    """
    with torch.no_grad():
        own = network.state_dict()
        if isinstance(network, VitposeNetwork):
            same, heads = start.layout == layout, _VITPOSE_HEADS
        else:
            same, heads = (start.layout, start.all_branches) == (layout, network.all_branches), (_HEAD,)
        fresh = () if same else heads
        names = [name for name in own if not name.endswith(_COUNTER) and not name.startswith(fresh)]
        # A classifier's checkpoint has further layers, which are ignored.
        weights = {name: start.weights[name] for name in names if name in start.weights}
        require_shapes(f"weights={start.uri}", {name: tuple(own[name].shape) for name in names}, weights)
        for name, value in weights.items():
            own[name].copy_(value)
