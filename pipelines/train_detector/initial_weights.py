"""What a training begins with: a checkpoint of ours, of HRNet's authors or mmpose's, or a trunk trained on ImageNet."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipelines.detectors.card import DetectorCard, card_of
from pipelines.detectors.hrnet.checkpoint import published_weights, reads_all_branches
from pipelines.detectors.hrnet.network import HrnetNetwork
from pipelines.io.torch_files import read_hashed, require_shapes, shapes_of
from schemas.errors import UserError

# The joints of published checkpoints, by their number.
_PUBLISHED_LAYOUTS = {17: "coco17", 16: "mpii16"}
_HEAD = "final_layer."
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Start:
    """A checkpoint to begin with.

    Attributes:
        uri: The file.
        sha256: Of the file.
        channels: Of its branch of full resolution.
        all_branches: Whether it predicts from all branches.
        layout: Its joints; None if it finds none, or some of no known layout.
        card: What our training says about it; None for weights of others.
        weights: Under the authors' names.
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
        UserError: No such file; it is damaged, or no HRNet.
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


def begin_with(network: HrnetNetwork, layout: str, start: Start) -> None:
    """Fill a network; its last layer stays as it is where the checkpoint's finds other joints, or in other branches.

    Raises:
        UserError: The checkpoint is of another architecture.
    """
    with torch.no_grad():
        own = network.state_dict()
        head = start.layout == layout and start.all_branches == network.all_branches
        wanted = [n for n in own if not n.endswith(_COUNTER) and (head or not n.startswith(_HEAD))]
        # A classifier's trunk has layers more, after those of the network.
        found = {name: start.weights[name] for name in wanted if name in start.weights}
        require_shapes(f"weights={start.uri}", {name: tuple(own[name].shape) for name in wanted}, found)
        for name, value in found.items():
            own[name].copy_(value)
