"""A small training whose steps are compiled, or not, in a process without checks of shapes: these cannot be compiled.

python -m train.compiled_training FOLDER LABELED UNLABELED DEVICE RESOURCES: an epoch's report in a line of JSON each.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from train.training_samples import small

from pipelines.io.gpus import begin_on
from pipelines.train.data import load_data
from pipelines.train.loop import LifterTraining
from pipelines.train.plan import plan_training
from pipelines.training.worker_group import WorkerGroup

EPOCHS = 3


def main() -> None:
    folder, labeled, unlabeled, device, resources = sys.argv[1:]
    begin_on(device)
    # Without dropout, whose random numbers compiled steps draw in another order.
    changes = {"lifter": {"dropout": 0.0}, "resources": json.loads(resources), "data": {"validation_subjects": ["S2"]}}
    config = small(labeled, unlabeled, Path(folder), **changes)
    plan, workers = plan_training(config), WorkerGroup(torch.device(device))
    training = LifterTraining(config, plan, load_data(config, plan, workers), workers)
    training.restore(None)
    for _ in range(EPOCHS):
        print(json.dumps(asdict(training.run_epoch())), flush=True)


if __name__ == "__main__":
    main()
