"""Prepares a network for inference with the backend and precision of the options."""

from torch import nn

from pipelines.detectors.heatmaps import FastNet, HeatmapNet
from pipelines.detectors.onnx_net import OnnxNet
from pipelines.detectors.topdown.options import TopDownConfig
from schemas.errors import UserError
from schemas.layouts import JointLayout


def build_net(
    network: nn.Module,
    head: nn.Module,
    layout: JointLayout,
    input_wh: tuple[int, int],
    config: TopDownConfig,
    threads: int,
    device: str,
    channels_last: bool,
) -> HeatmapNet:
    """Make a network ready for inference; it is taken over and changed.

    Args:
        network: Crops to heatmaps.
        head: Its last layer.
        layout: The joints.
        input_wh: Width and height of the crops, pixels.
        config: The options.
        threads: CPU threads.
        device: A torch device string.
        channels_last: Lay out its filters pixel by pixel, in PyTorch.

    Raises:
        UserError: The device cannot do what the options say.
    """
    if config.backend == "torch":
        return FastNet(network, head, layout, input_wh, device, config.precision, channels_last, config.compile)
    if device != "cpu":
        raise UserError("detector.backend=onnx: is for CPUs; on a GPU leave it out")
    return OnnxNet(network, layout, input_wh, threads)
