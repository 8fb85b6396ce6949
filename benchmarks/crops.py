"""Cutting people out of frames: 64 crops of 192 x 256 from 16 frames of 1080p.

python benchmarks/crops.py [cpu|cuda] [toy]

Milliseconds a crop, best of runs in turn, of `cut` as it works on the device, of its way for GPUs, and of PyTorch's
`grid_sample` on frames converted to floats. Prints one JSON line.
"""

import json
import sys
import time
from collections.abc import Callable

import torch
from torch.nn.functional import grid_sample

from pipelines.detectors.topdown.crops import _gather, crop_boxes, crop_matrices, cut, invert

FRAMES, PEOPLE, WH = 16, 64, (192, 256)
RUNS = 1 if "toy" in sys.argv else 9


def sampled(frames: torch.Tensor, index: torch.Tensor, inverses: torch.Tensor) -> torch.Tensor:
    """What a plain implementation does: every frame as floats, one grid for all people of a frame (equally many)."""
    height, width = frames.shape[1:3]
    y, x = torch.meshgrid(torch.arange(WH[1]), torch.arange(WH[0]), indexing="ij")
    places = torch.stack([x, y, torch.ones_like(x)], -1).float().to(frames.device)
    source = places.flatten(0, 1) @ inverses.mT / inverses.new_tensor([width - 1, height - 1]) * 2 - 1
    grid = source[index.argsort(stable=True)].reshape(FRAMES, -1, WH[0], 2)
    return grid_sample(frames.permute(0, 3, 1, 2).float(), grid, align_corners=True)


def best_ms(work: Callable[[], object], device: str) -> float:
    """Fastest of several runs, per crop."""
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return round(min(times) / PEOPLE * 1e3, 3)


def main() -> None:
    """Measure, print."""
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    torch.set_num_threads(1)
    torch.manual_seed(0)
    frames = torch.randint(0, 256, (FRAMES, 1080, 1920, 3), dtype=torch.uint8).to(device)
    corners = torch.rand(PEOPLE, 2) * torch.tensor([1500.0, 600])
    boxes = crop_boxes(torch.cat([corners, corners + torch.tensor([200.0, 420])], 1).to(device), WH)
    matrices = crop_matrices(boxes.centres, boxes.sizes, None, WH)
    index = torch.arange(PEOPLE, device=device) % FRAMES
    ways = {
        "cut": lambda: cut(frames, index, matrices, WH),
        "gather": lambda: _gather(frames, index, invert(matrices), WH),
        "grid_sample": lambda: sampled(frames, index, invert(matrices)),
    }
    result = {f"{name}_ms": best_ms(work, device) for name, work in ways.items()}
    print(json.dumps({"benchmark": "crops", "device": device, **result}))


if __name__ == "__main__":
    main()
