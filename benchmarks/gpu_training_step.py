"""The parts of a lifter's training step: `python benchmarks/gpu_training_step.py [cpu|cuda] [toy]`.

The train job's own loop without Ray: 243 frames, 1,024 channels, batches of 1,024 labeled and as many unlabeled
windows, pose and trajectory. Medians in milliseconds of gathering the samples, forward, objective, backward and
optimizer, with the device waited for after each; of the whole step without waiting in between, plain and compiled; the
share that the network's multiplications have of the rate of a plain matrix product; frames/s of labeled windows alone.
Then their frames/s and the most memory at each batch size, until the memory is full. Prints one JSON line.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from gpu_corpus import write_people
from lifter_step import Case, in_turn, matrix_products

from pipelines.train.data import load_data
from pipelines.train.loop import Batches, LifterTraining
from pipelines.train.objective import Prediction
from pipelines.train.plan import plan_training
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train import TrainConfig

CASE, TOY = Case((3, 3, 3, 3, 3), 1024, 1024), Case((3, 3), 16, 64)
STEPS, WARM_UP = 20, 5
BATCHES = (256, 512, 1024, 2048, 4096, 8192, 16384)


def training_of(folder: Path, case: Case, device: torch.device, joint: bool, **resources: bool) -> LifterTraining:
    """A training of the people in `folder`; joint: with as many unlabeled windows."""
    values: dict[str, Any] = {
        "labeled": str(folder),
        "unlabeled": str(folder) if joint else None,
        "output": "unused",
        "lifter": {"name": "temporal_conv", "filter_widths": list(case.filter_widths), "channels": case.channels},
        "data": {"validation_subjects": []},
        "objective": {"warmup_epochs": 0},
        # Of joint batches half is unlabeled.
        "optimization": {"batch_size": case.batch * (2 if joint else 1), "epochs": 1},
        "resources": resources,
    }
    config = TrainConfig.model_validate(values)
    plan, workers = plan_training(config), WorkerGroup(device)
    training = LifterTraining(config, plan, load_data(config, plan, workers), workers)
    training.restore(None)
    training.model.train()
    return training


def parts_ms(training: LifterTraining, device: torch.device) -> dict[str, float]:
    """Median milliseconds of each part of a joint step."""
    times: dict[str, list[float]] = {}
    batches = iter(training._batches(0))
    for _ in range(WARM_UP + STEPS):
        one_step(training, lambda: next(batches), Clock(device, times))
    return {name: round(1e3 * statistics.median(seconds[WARM_UP:]), 3) for name, seconds in times.items()}


class Clock:
    """Writes down what has passed since the last part, the device's work included."""

    def __init__(self, device: torch.device, times: dict[str, list[float]]) -> None:
        self._device, self._times = device, times
        self._since = time.perf_counter()

    def __call__(self, part: str) -> None:
        """End a part."""
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        self._times.setdefault(part, []).append(now - self._since)
        self._since = now


def one_step(training: LifterTraining, gather: Callable[[], Batches], done: Callable[[str], None]) -> None:
    """What `LifterTraining` does in a step, part after part."""
    labeled, unlabeled = gather()
    done("gather")
    inputs = labeled.inputs if unlabeled is None else torch.cat([labeled.inputs, unlabeled.inputs])
    with torch.autocast(inputs.device.type, torch.bfloat16, enabled=training._bf16):
        pose, trajectory = training._forward(inputs)
    done("forward")
    prediction = Prediction(pose.float(), None if trajectory is None else trajectory.float())
    total = torch.stack(list(training._objective(labeled, prediction, unlabeled).values())).sum()
    done("objective")
    training._optimizer.zero_grad(set_to_none=True)
    total.backward()
    done("backward")
    training._optimizer.step()
    done("optimizer")


def step_s(training: LifterTraining, device: torch.device) -> float:
    """Seconds of a step, gathering included, over steps that are not waited for one by one."""
    batches = iter(training._batches(0))

    def steps(count: int) -> float:
        started = time.perf_counter()
        for _ in range(count):
            training._step(next(batches))
        if device.type == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - started) / count

    steps(WARM_UP)
    return steps(STEPS)


def by_batch_size(folder: Path, case: Case, device: torch.device) -> dict[str, dict[str, float] | str]:
    """Frames/s and memory of labeled steps."""
    results: dict[str, dict[str, float] | str] = {}
    for batch in BATCHES:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        try:
            seconds = step_s(training_of(folder, case._replace(batch=batch), device, joint=False), device)
        except torch.OutOfMemoryError:
            results[str(batch)] = "out of memory"
            break
        peak_gb = torch.cuda.max_memory_allocated() / 1e9
        results[str(batch)] = {"frames_per_s": round(batch / seconds), "peak_gb": round(peak_gb, 2)}
    return results


def main() -> None:
    """Measure, print."""
    device, toy = torch.device(sys.argv[1] if len(sys.argv) > 1 else "cpu"), "toy" in sys.argv
    case = TOY if toy else CASE
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "tracks")
        largest = case.batch if toy or device.type != "cuda" else BATCHES[-1]
        write_people(folder, 2 * (WARM_UP + STEPS) * largest, 500)
        joint = training_of(folder, case, device, joint=True)
        alone = training_of(folder, case, device, joint=False)
        multiply, flops = matrix_products(case, device.type)
        rate = flops / in_turn((multiply,), device.type)[0]
        # Labeled and unlabeled windows, through the network of poses and that of trajectories.
        work = 2 * (case.step_flops() + case.step_flops(outputs=3))
        joint_s, alone_s = step_s(joint, device), step_s(alone, device)
        result: dict[str, object] = {
            "benchmark": "gpu_training_step",
            "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
            "case": f"{case.frames} frames, {case.channels} channels, {case.batch} windows of each kind",
            "parts_ms": parts_ms(joint, device),
            "step_ms": round(1e3 * joint_s, 3),
            "frames_per_s": round(case.batch / alone_s),
            "matmul_tflops": round(rate / 1e12, 3),
            "share_of_matmul_rate": round(work / joint_s / rate, 3),
        }
        if device.type == "cuda":
            compiled_s = step_s(training_of(folder, case, device, joint=True, compile=True), device)
            result |= {
                "compiled_step_ms": round(1e3 * compiled_s, 3),
                "compiled_share_of_matmul_rate": round(work / compiled_s / rate, 3),
            }
            try:
                graphs = training_of(folder, case, device, joint=True, compile=True, cuda_graphs=True, use_gpu=True)
                result["graphs_step_ms"] = round(1e3 * step_s(graphs, device), 3)
            except RuntimeError as error:  # no graph was launched on a GPU yet
                result["graphs_step_ms"] = " ".join(str(error).split())[:200]
            if not toy:
                result["by_batch_size"] = by_batch_size(folder, case, device)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
