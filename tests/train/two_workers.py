"""Trainings of three steps, by one worker or by two.

python -m train.two_workers RANK FOLDER LABELED UNLABELED CHANGES: one of the two.
"""

import faulthandler
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
from train.training_samples import small

from pipelines.train.data import load_data
from pipelines.train.loop import LifterTraining
from pipelines.train.plan import plan_training
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train import TrainConfig


def train(workers: WorkerGroup, folder: Path, labeled: str, unlabeled: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Train a lifter, with changes of the config; returns its weights and the reported losses."""
    # 127 chunks, not mirrored, three batches: 42 or 43 samples, shared as 21 and 21 or 22 and 21.
    config = small(
        labeled,
        unlabeled,
        folder,
        data={"mirroring": "none", "validation_subjects": []},
        objective={"warmup_epochs": 0, **changes.get("objective", {})},
        optimization={"batch_size": 43, "epochs": 1, **changes.get("optimization", {})},
    )
    resources = config.resources.model_dump() | changes.get("resources", {})
    config = TrainConfig.model_validate({**config.model_dump(), "lifter": changes["lifter"], "resources": resources})
    plan = plan_training(config)
    # It sees all that the compiler sees, and builds nothing, which would take minutes.
    with patch.object(torch, "compile", partial(torch.compile, backend="aot_eager")):
        training = LifterTraining(config, plan, load_data(config, plan, workers), workers)
        report = training.run_epoch()
    return {"model": training.model.state_dict(), "losses": report.losses}


def main() -> None:
    torch.set_num_threads(1)
    faulthandler.dump_traceback_later(90, exit=True)  # shows where the workers wait, should they wait for each other
    rank, folder, labeled, unlabeled, all_changes = int(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    workers = WorkerGroup(torch.device("cpu"), rank, 2)
    trained = [train(workers, folder, labeled, unlabeled, changes) for changes in json.loads(all_changes)]
    if rank == 0:
        torch.save(trained, folder / "trained.pt")
    dist.barrier()  # otherwise one worker could leave while the other still waits for its messages
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
