"""One of several workers of a training of three steps: `two_workers.py labeled unlabeled folder rank world`."""

import os
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

import torch
import torch.distributed as dist
from train.training_samples import small

from pipelines.train.data import load_data, plan_data
from pipelines.train.loop import Training
from pipelines.train.worker_group import WorkerGroup


def main() -> None:
    labeled, unlabeled, folder, rank, world = sys.argv[1], sys.argv[2], Path(sys.argv[3]), *map(int, sys.argv[4:])
    if world > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world)
    # 127 chunks, not mirrored, three batches: 42 or 43 samples, shared as 21 and 21 or 22 and 21.
    config = small(
        labeled,
        unlabeled,
        folder,
        lifter={"dropout": 0.0},
        data={"mirroring": "none", "validation_subjects": []},
        objective={"warmup_epochs": 0},
        optimization={"batch_size": 43, "epochs": 1},
    )
    workers = WorkerGroup(torch.device("cpu"), rank, world)
    plan = plan_data(config)
    training = Training(config, plan, load_data(config, plan, workers), workers)
    report = training.run_epoch()
    if rank == 0:
        torch.save({"model": training.model.state_dict(), "losses": report.losses}, folder / f"world{world}.pt")
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    main()
