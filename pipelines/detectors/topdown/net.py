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
    """Prepare a network for inference; it is changed in place.

    Args:
        network: Maps crops to heatmaps.
        head: Its last layer.
        layout: The joints.
        input_wh: Width and height of the crops, pixels.
        config: The options.
        threads: CPU threads.
        device: A torch device string.
        channels_last: Whether to store weights and activations in PyTorch's channels-last memory format.

    Raises:
        UserError: The device does not support the options.
    """
    if config.backend == "torch":
        return FastNet(network, head, layout, input_wh, device, config.precision, channels_last, config.compile)
    if device != "cpu":
        raise UserError(f"detector.backend=onnx: runs on CPUs only, found device {device}; give detector.backend=torch")
    return OnnxNet(network, layout, input_wh, threads)
