"""One of several workers of a training of three steps.

python -m train.two_workers LABELED UNLABELED FOLDER LIFTER RANK WORLD
"""

import faulthandler
import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from train.training_samples import small

from pipelines.train.data import load_data
from pipelines.train.loop import LifterTraining
from pipelines.train.plan import plan_training
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train import TrainConfig


def main() -> None:
    torch.set_num_threads(1)
    faulthandler.dump_traceback_later(90, exit=True)  # shows where the workers wait, should they wait for each other
    labeled, unlabeled, folder, lifter = sys.argv[1], sys.argv[2], Path(sys.argv[3]), json.loads(sys.argv[4])
    rank, world = map(int, sys.argv[5:])
    if world > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world)
    # 127 chunks, not mirrored, three batches: 42 or 43 samples, shared as 21 and 21 or 22 and 21.
    config = small(
        labeled,
        unlabeled,
        folder,
        data={"mirroring": "none", "validation_subjects": []},
        objective={"warmup_epochs": 0},
        optimization={"batch_size": 43, "epochs": 1},
    )
    config = TrainConfig.model_validate({**config.model_dump(), "lifter": lifter})
    workers = WorkerGroup(torch.device("cpu"), rank, world)
    plan = plan_training(config)
    training = LifterTraining(config, plan, load_data(config, plan, workers), workers)
    report = training.run_epoch()
    if rank == 0:
        torch.save({"model": training.model.state_dict(), "losses": report.losses}, folder / f"world{world}.pt")
    if world > 1:
        dist.barrier()  # otherwise one worker could leave while the other still waits for its messages
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
