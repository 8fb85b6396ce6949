"""One training step of `temporal_conv` against the same network written with strided `Conv1d`.

python benchmarks/lifter_step.py [cpu|cuda] [toy]

A step is forward, backward and Adam (amsgrad, fused in both) on windows as long as the receptive field. Per
configuration the two take turns; medians of frames/s (one frame is predicted per window), their ratio, and the share
that the network's multiplications have of the matrix-product rate measured between the turns. On cuda both run under
bf16 autocast, and the joint step of semi-supervised training (labeled and unlabeled windows together through pose and
trajectory networks, back-projection aside) is measured too, eager and compiled. Prints one JSON line.
"""

import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipelines.lifters.model import LiftingModel, build_model
from pipelines.lifters.temporal_conv import TemporalConv, TemporalConvConfig
from schemas.job_config import PluginConfig
from schemas.layouts import LAYOUTS

H36M = LAYOUTS["h36m17"]
INPUTS = 2 * len(H36M)


class Case(NamedTuple):
    """A network and the windows of a step."""

    filter_widths: tuple[int, ...]
    channels: int
    batch: int

    @property
    def frames(self) -> int:
        """The receptive field."""
        return math.prod(self.filter_widths)

    def step_flops(self, outputs: int = 3 * len(H36M)) -> float:
        """Floating-point operations of a step's matrix products; the first layer needs no gradient of its input."""
        first, *rest = self.filter_widths
        samples = self.frames // first
        products = 2 * samples * first * INPUTS * self.channels
        for width in rest:
            samples //= width
            products += 3 * samples * (width + 1) * self.channels**2
        return 2 * self.batch * (products + 3 * outputs * self.channels)


CPU_CASES = (Case((3, 3, 3), 1024, 1024), Case((3, 3, 3), 256, 1024), Case((3, 3, 3, 3, 3), 1024, 256))
CUDA_CASES = tuple(case._replace(batch=1024) for case in CPU_CASES)
TURNS = {"cpu": 5, "cuda": 30}
JOINT = Case((3, 3, 3, 3, 3), 1024, 2048)
# Shows that the measurement works.
TOY = Case((3, 3), 16, 32)
Step = Callable[[], None]


class StridedConv(nn.Module):
    """The baseline: Conv1d with the stride of its width over (batch, channels, frames)."""

    def __init__(self, case: Case, dropout: float) -> None:
        super().__init__()
        first, *rest = case.filter_widths
        self.expand = layer(INPUTS, case.channels, first, dropout)
        self.wide = nn.ModuleList(layer(case.channels, case.channels, width, dropout) for width in rest)
        self.pointwise = nn.ModuleList(layer(case.channels, case.channels, 1, dropout) for _ in rest)
        self.shrink = nn.Conv1d(case.channels, 3 * len(H36M), 1)
        self.widths = rest

    def forward(self, inputs: Float[Tensor, "batch frames joints 2"]) -> Float[Tensor, "batch 1 joints 3"]:
        """Lift windows of the receptive field."""
        x = self.expand(inputs.flatten(2).transpose(1, 2))
        for width, wide, pointwise in zip(self.widths, self.wide, self.pointwise, strict=True):
            x = x[:, :, width // 2 :: width] + pointwise(wide(x))
        return self.shrink(x).transpose(1, 2).unflatten(2, (-1, 3))


def layer(features: int, channels: int, width: int, dropout: float) -> nn.Sequential:
    """Convolution, batch norm, ReLU, dropout."""
    conv = nn.Conv1d(features, channels, width, stride=width, bias=False)
    return nn.Sequential(conv, nn.BatchNorm1d(channels), nn.ReLU(inplace=True), nn.Dropout(dropout))


def training_step(model: nn.Module, case: Case, device: str) -> Step:
    """A closure that does one step on fixed random windows."""
    model.to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, amsgrad=True, fused=True)
    inputs = torch.randn(case.batch, case.frames, len(H36M), 2, device=device)
    targets = torch.randn(case.batch, 1, len(H36M), 3, device=device)

    def step() -> None:
        with precision(device):
            output = model(inputs)
            poses = output[0] + output[1] if isinstance(output, tuple) else output
        (poses.float() - targets).norm(dim=-1).mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def precision(device: str) -> AbstractContextManager[object]:
    """Bf16 autocast on cuda, float32 on cpu."""
    return torch.autocast(device, torch.bfloat16, enabled=device == "cuda")


def matrix_products(case: Case, device: str) -> tuple[Step, float]:
    """A plain product of the size of the first wide filter's, ten times over on cuda, and its operations."""
    samples = case.batch * case.frames // math.prod(case.filter_widths[:2])
    inner = case.filter_widths[1] * case.channels
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    a = torch.randn(samples, inner, device=device, dtype=dtype)
    b = torch.randn(case.channels, inner, device=device, dtype=dtype)
    out = torch.empty(samples, case.channels, device=device, dtype=dtype)
    times = 10 if device == "cuda" else 1

    def multiply() -> None:
        for _ in range(times):
            torch.mm(a, b.T, out=out)

    return multiply, 2.0 * times * samples * inner * case.channels


def seconds(step: Step, device: str) -> float:
    """Wall time of one call, the device's work included."""
    started = time.perf_counter()
    step()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def in_turn(steps: Sequence[Step], device: str) -> list[float]:
    """Median seconds of each, measured in turn after two calls to warm up."""
    rounds = [[seconds(step, device) for step in steps] for _ in range(2 + TURNS[device])]
    return [statistics.median(times) for times in zip(*rounds[2:], strict=True)]


def compare(case: Case, device: str) -> dict[str, float | str]:
    """Ours, the baseline and the plain product in turn."""
    config = TemporalConvConfig(filter_widths=case.filter_widths, channels=case.channels)
    ours = training_step(TemporalConv(config, H36M, H36M), case, device)
    baseline = training_step(StridedConv(case, config.dropout), case, device)
    multiply, flops = matrix_products(case, device)
    ours_s, baseline_s, multiply_s = in_turn((ours, baseline, multiply), device)
    rate = flops / multiply_s
    return {
        "case": f"{case.frames} frames, {case.channels} channels, batch {case.batch}",
        "frames_per_s": round(case.batch / ours_s),
        "baseline_frames_per_s": round(case.batch / baseline_s),
        "ratio": round(baseline_s / ours_s, 2),
        "matmul_gflops": round(rate / 1e9),
        "share_of_matmul_rate": round(case.step_flops() / ours_s / rate, 3),
    }


def joint_step() -> dict[str, float]:
    """Labeled and unlabeled windows, half each, through pose and trajectory networks: eager, then compiled."""
    torch.manual_seed(0)
    name = PluginConfig.model_validate({"name": "temporal_conv", "filter_widths": JOINT.filter_widths})
    eager, compiled = (build_model(name, H36M, H36M, trajectory=True) for _ in range(2))
    multiply, flops = matrix_products(JOINT, "cuda")
    steps = (
        training_step(eager, JOINT, "cuda"),
        training_step(compile_model(compiled), JOINT, "cuda"),
        multiply,
    )
    eager_s, compiled_s, multiply_s = in_turn(steps, "cuda")
    work = JOINT.step_flops() + JOINT.step_flops(outputs=3)
    return {
        "matmul_tflops": round(flops / multiply_s / 1e12),
        "eager_ms": round(1e3 * eager_s, 2),
        "compiled_ms": round(1e3 * compiled_s, 2),
        "eager_share_of_matmul_rate": round(work / eager_s / (flops / multiply_s), 3),
        "compiled_share_of_matmul_rate": round(work / compiled_s / (flops / multiply_s), 3),
    }


def compile_model(model: LiftingModel) -> nn.Module:
    """The model, compiled in place."""
    model.compile()
    return model


def main() -> None:
    """Measure and print."""
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    torch.set_num_threads(2)
    toy = "toy" in sys.argv[2:]
    cases = (TOY,) if toy else CUDA_CASES if device == "cuda" else CPU_CASES
    result: dict[str, object] = {"benchmark": "lifter_step", "device": device}
    result["cases"] = [compare(case, device) for case in cases]
    if device == "cuda" and not toy:
        result["joint_step_243_frames"] = joint_step()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
