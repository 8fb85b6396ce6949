"""Whole-track lifting: 243 frames, 1024 channels, pose and trajectory, no flip.

python benchmarks/lifter_inference.py [cpu|cuda]

First, `lift` against the same network written with plain dilated `Conv1d`, with the same weights: both lift a track of
8,192 frames in turn, in pieces of the same length; medians of frames/s, their ratio, and the largest difference of a
coordinate (m). Then, per track length, each in a process of its own: frames/s of `lift` (model built, one short track
lifted before), and the peak memory that it adds to the process (cuda: to the device), which must not grow with the
track beyond the track itself and its result (about 0.4 kB a frame). Prints one JSON line.
"""

import json
import resource
import statistics
import subprocess
import sys
import time

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipelines.lifters.inference import lift
from pipelines.lifters.model import LiftingModel, build_model
from pipelines.lifters.temporal_conv import Layer, TemporalConv
from schemas.job_config import PluginConfig
from schemas.layouts import LAYOUTS

LENGTHS = (1_000, 10_000, 100_000)
COMPARED_FRAMES, PIECE_FRAMES, TURNS = 8_192, 4_096, 5
H36M = LAYOUTS["h36m17"]


class DilatedConv(nn.Module):
    """The baseline: dilated Conv1d over (batch, channels, frames), BatchNorm1d and ReLU, as published."""

    def __init__(self, lifter: TemporalConv) -> None:
        super().__init__()
        self.expand = convolution(lifter.expand)
        self.wide = nn.ModuleList(convolution(block.wide) for block in lifter.conv_blocks)
        self.pointwise = nn.ModuleList(convolution(block.pointwise) for block in lifter.conv_blocks)
        self.shrink = nn.Conv1d(lifter.shrink.in_features, lifter.shrink.out_features, 1)
        self.shrink.load_state_dict({"weight": lifter.shrink.weight[:, :, None], "bias": lifter.shrink.bias})

    def forward(self, inputs: Float[Tensor, "batch frames joints 2"]) -> Float[Tensor, "batch frames_out joints 3"]:
        """Lift every frame for which the window contains the whole receptive field."""
        x = self.expand(inputs.flatten(2).transpose(1, 2))
        for wide, pointwise in zip(self.wide, self.pointwise, strict=True):
            y = pointwise(wide(x))
            lost = (x.shape[2] - y.shape[2]) // 2
            x = x[:, :, lost : lost + y.shape[2]] + y
        return self.shrink(x).transpose(1, 2).unflatten(2, (-1, 3))


def convolution(layer: Layer) -> nn.Sequential:
    """A layer as convolution, batch norm and ReLU, with the same weights."""
    weight = layer.product.weight.unflatten(1, (layer.width, -1)).transpose(1, 2)
    conv = nn.Conv1d(weight.shape[1], weight.shape[0], layer.width, dilation=layer.dilation, bias=False)
    conv.load_state_dict({"weight": weight})
    norm = nn.BatchNorm1d(weight.shape[0])
    norm.load_state_dict(layer.activation.state_dict(), strict=False)
    return nn.Sequential(conv, norm, nn.ReLU(inplace=True))


def build(device: str) -> LiftingModel:
    """The model that is measured, with batch statistics as after training."""
    torch.manual_seed(0)
    model = build_model(PluginConfig(name="temporal_conv"), H36M, H36M, trajectory=True)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1)
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    return model.to(device).eval()


def compare(device: str) -> dict[str, float]:
    """Lift a track with our network and with the baseline, in turn."""
    model = build(device)
    assert isinstance(model.pose, TemporalConv)
    assert isinstance(model.trajectory, TemporalConv)
    plain = [DilatedConv(lifter).to(device).eval() for lifter in (model.pose, model.trajectory)]
    track = torch.randn(COMPARED_FRAMES, len(H36M), 2)
    half = model.pose.window.offset
    padded = torch.cat([track[:1].expand(half, -1, -1), track, track[-1:].expand(half, -1, -1)])
    pieces = [padded[start : start + PIECE_FRAMES + 2 * half] for start in range(0, COMPARED_FRAMES, PIECE_FRAMES)]

    @torch.inference_mode()
    def lift_plainly() -> tuple[Tensor, ...]:
        lifted = [[network(piece[None].to(device))[0].cpu() for network in plain] for piece in pieces]
        return tuple(torch.cat(parts) for parts in zip(*lifted, strict=True))

    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    poses: dict[str, Tensor] = {}
    for turn in range(1 + TURNS):
        for name, call in (("ours", lambda: lift(model, [track], flip=False)[0]), ("plain", lift_plainly)):
            started = time.perf_counter()
            poses[name] = call()[0]
            if turn:  # the first one warms up
                seconds[name].append(time.perf_counter() - started)
    ours_s, plain_s = (statistics.median(seconds[name]) for name in ("ours", "plain"))
    return {
        "frames_per_s": round(COMPARED_FRAMES / ours_s),
        "conv1d_frames_per_s": round(COMPARED_FRAMES / plain_s),
        "ratio": round(plain_s / ours_s, 2),
        "largest_difference_m": float(f"{(poses['ours'] - poses['plain']).abs().max():.1e}"),
    }


def peak_mib(device: str) -> float:
    """Most memory used so far."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def measure(device: str, frames: int) -> dict[str, float]:
    """Lift one track in this process."""
    model = build(device)
    lift(model, [torch.randn(8, len(H36M), 2)], flip=False)
    before_mib = peak_mib(device)
    track = torch.randn(frames, len(H36M), 2)
    started = time.perf_counter()
    lift(model, [track], flip=False)
    seconds = time.perf_counter() - started
    return {"frames_per_s": round(frames / seconds), "added_peak_mib": round(peak_mib(device) - before_mib)}


def main() -> None:
    """Compare, then measure each length in a process of its own, and print."""
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    torch.set_num_threads(2)
    if len(sys.argv) == 3:
        print(json.dumps(measure(device, int(sys.argv[2]))))
        return
    result: dict[str, object] = {"benchmark": "lifter_inference", "device": device}
    result["against_conv1d"] = compare(device)
    for frames in LENGTHS:
        command = [sys.executable, __file__, device, str(frames)]
        process = subprocess.run(command, check=True, capture_output=True, text=True)
        result[f"{frames}_frames"] = json.loads(process.stdout)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
