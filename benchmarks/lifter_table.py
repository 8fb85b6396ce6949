"""The lifters of the cmu_* recipes beside each other: weights, size of the file, speed of training and of lifting.

python benchmarks/lifter_table.py [THREADS]

Prints a line of a Markdown table for each. Errors are those of the recipes themselves (jobs.train, jobs.evaluate).
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from jobs.command_line.arguments import read_config
from pipelines.lifters.checkpoint import LifterCard, save_lifter
from pipelines.lifters.inference import lift
from pipelines.lifters.model import LiftingModel, build_model
from pipelines.train.optimizer import build_optimizer
from schemas.configs.train import TrainConfig
from schemas.layouts import LAYOUTS

H36M = LAYOUTS["h36m17"]
RECIPES = Path(__file__).parents[1] / "jobs" / "recipes"
NAMES = ("temporal_conv", "residual_mlp", "spacetime_transformer", "supermask")
STEPS, LIFTED_FRAMES = 5, 3000


def main(threads: int) -> None:
    """Print the table."""
    torch.set_num_threads(threads)
    print(f"{threads} threads")
    print("| lifter | trained numbers | bytes of its file | training, frames/s | lifting, frames/s |")
    print("|---|---|---|---|---|")
    for name in NAMES:
        config = read_config(TrainConfig, [str(RECIPES / f"cmu_{name}.yaml"), "labeled=tracks", "output=out"])
        torch.manual_seed(0)
        model = build_model(config.lifter, H36M, H36M, trajectory=False)
        trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        training, lifting = fastest(lambda m=model, c=config: train_steps(m, c)), fastest(lambda m=model: lift_track(m))
        print(f"| `{name}` | {trained:,} | {size_of(model, config):,} | {training:,.0f} | {lifting:,.0f} |")


def train_steps(model: LiftingModel, config: TrainConfig) -> int:
    """Some steps of the recipe's batch size; returns the frames predicted."""
    window, features = model.pose.window, model.pose.input_features
    batch = max(1, config.optimization.batch_size // window.outputs)
    inputs = torch.rand(batch, window.inputs, len(H36M), features)
    optimizer = build_optimizer(model.train(), config.optimization)
    for _ in range(STEPS):
        loss = torch.linalg.vector_norm(model(inputs)[0] - 1, dim=-1).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return STEPS * batch * window.outputs


def lift_track(model: LiftingModel) -> int:
    """One track, with its mirror image; returns its frames."""
    lift(model, [torch.rand(LIFTED_FRAMES, len(H36M), model.pose.input_features)], flip=True)
    return LIFTED_FRAMES


def fastest(work: Callable[[], int]) -> float:
    """Frames per second of the fastest of three times, after one that does not count."""
    work()
    rates = []
    for _ in range(3):
        started = time.perf_counter()
        frames = work()
        rates.append(frames / (time.perf_counter() - started))
    return max(rates)


def size_of(model: LiftingModel, config: TrainConfig) -> int:
    """Bytes of the lifter's file."""
    layouts = {"input_layout": H36M.name, "output_layout": H36M.name}
    architecture = {"lifter": config.lifter.name, "config": config.lifter.options, "window": model.pose.window}
    card = LifterCard.model_validate({**layouts, **architecture, "trajectory": False, "fps": 60.0})
    with tempfile.TemporaryDirectory() as folder:
        save_lifter(f"{folder}/lifter.pt", model, card)
        return Path(folder, "lifter.pt").stat().st_size


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
