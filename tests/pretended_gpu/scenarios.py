"""What is walked through on a pretended GPU, a line of JSON for each; `test_pretended_gpu.py` runs it with the guard.

python -m pretended_gpu.scenarios FOLDER
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pretended_gpu.pretended import CUDA, Recorded, pretended_gpu
from torch import Tensor
from train.training_samples import person, small, write
from train_detector.people_samples import INPUT_WH, LAYOUT, canvases

from pipelines.detectors import pretrained
from pipelines.detectors.hrnet.detector import Hrnet, HrnetConfig
from pipelines.detectors.persons.base import PersonsConfig
from pipelines.detectors.persons.detr import DetrPersons
from pipelines.detectors.topdown.detector import TopDown
from pipelines.detectors.vitpose.detector import Vitpose, VitposeConfig
from pipelines.detectors.vitpose.shape import VitposeShape
from pipelines.pose.upload import uploaded
from pipelines.train.data import load_data
from pipelines.train.loop import LifterTraining
from pipelines.train.plan import plan_training
from pipelines.train_detector.batches import Batches
from pipelines.train_detector.canvas_shape import CanvasShape
from pipelines.train_detector.loop import DetectorData, DetectorTraining
from pipelines.train_detector.plan import NetPlan
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train_detector import TrainDetectorConfig

PEOPLE = {"persons": {"name": "whole_frame"}, "min_person_score": 0}
MADE = {"enabled": True, "samples_per_epoch": 640}
ALONE = WorkerGroup(CUDA)
# The five convolutions of the lifter that sees 243 frames.
WIDTHS = [3, 3, 3, 3, 3]


def lifter_step(
    folder: Path, recorded: Recorded, unlabeled: bool, world: dict[str, Any], workers: WorkerGroup = ALONE
) -> dict[str, Any]:
    """A step of a lifter's training, of pose and trajectory.

    Args:
        folder: For tracks and output.
        recorded: What happens on the device.
        unlabeled: Whether half of the samples have no labels.
        world: Options of made views.
        workers: Those that share the batches.
    """
    labeled = write(folder / "labeled", person("a", 300), person("b", 300, subject="S2"))
    others = write(folder / "unlabeled", person("d", 300), person("e", 300)) if unlabeled else None
    config = small(
        labeled,
        others,
        folder / "out",
        data={"validation_subjects": [], "world": world},
        objective={"warmup_epochs": 0},
        optimization={"batch_size": 64, "epochs": 2},
        lifter={"filter_widths": WIDTHS, "channels": 8, "scores": True},
    )
    plan = plan_training(config)
    training = LifterTraining(config, plan, load_data(config, plan, workers), workers)
    training.restore(None)
    training.run_epoch()
    recorded.summary()  # what is waited for once is not counted
    training.run_epoch()
    return recorded.summary(training._data.labeled.steps_per_epoch)


def benchmarked(folder: Path, recorded: Recorded) -> dict[str, Any]:
    """The step that `benchmarks/gpu_training_step.py` takes apart, after each part of which it waits."""
    # Among the benchmarks are modules that are called as folders of tests: they are found last.
    sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
    from gpu_corpus import write_people
    from gpu_training_step import STEPS, TOY, WARM_UP, parts_ms, training_of

    write_people(folder, 60 * TOY.batch, 500)
    training = training_of(folder, TOY, CUDA, joint=True)
    recorded.summary()
    parts = parts_ms(training, CUDA)
    return recorded.summary(WARM_UP + STEPS) | {"parts": list(parts)}


def detector_step(folder: Path, recorded: Recorded, net: NetPlan, workers: WorkerGroup = ALONE) -> dict[str, Any]:
    """A step of a detector's training."""
    values = {"data": {"name": "x"}, "output": str(folder), "optimization": {"epochs": 2, "batch_size": 2}}
    config = TrainDetectorConfig.model_validate(values)
    folder.mkdir()
    training = DetectorTraining(
        config, net, DetectorData(Batches(canvases(folder), workers, 1, net.udp), None), workers
    )
    training.run_epoch()
    recorded.summary()
    training.run_epoch()
    return recorded.summary(steps=3) | {"statistics": float(sum(map(_sum, training.network.buffers())))}


def _sum(values: Tensor) -> float:
    return float(values.cpu().double().sum())


def detector_plans() -> dict[str, NetPlan]:
    """The detectors that are trained."""
    hrnet = CanvasShape.for_net(LAYOUT.name, INPUT_WH, 1.35)
    vitpose = VitposeShape(width=32, depth=2, heads=2, simple_head=True)
    return {
        "hrnet": NetPlan("hrnet", hrnet, "96x64", 2, False, 2.0, None),
        "vitpose": NetPlan("vitpose", hrnet, "96x64", 32, False, 2.0, None, vitpose),
    }


def detected_clip(recorded: Recorded, make: Callable[[], TopDown]) -> dict[str, Any]:
    """The joints of the people of a clip, in one batch of crops; boxes are given by hand."""
    detector = make()
    clip = np.random.default_rng(0).integers(0, 256, (6, 90, 120, 3), np.uint8)
    detector(clip)
    recorded.summary()
    detector(clip)
    return recorded.summary()


def found_people(recorded: Recorded) -> dict[str, Any]:
    """The people of a batch of frames that lie on the device."""
    finder = DetrPersons(PersonsConfig.model_validate({"weights": "random:0", "input_size": "256x256"}), 1, "cuda:0")
    frames = uploaded(torch.zeros((2, 90, 120, 3), dtype=torch.uint8), CUDA)
    finder(frames)
    recorded.summary()
    boxes, scores = finder(frames)
    return recorded.summary() | {"devices": [str(boxes.device), str(scores.device)]}


def small_hrnet() -> TopDown:
    options = {"weights": "random:0", "channels": 2, "input_size": "96x64", "flip": True}
    return Hrnet(HrnetConfig.model_validate(options | PEOPLE), 1, "cuda:0")


def small_vitpose(folder: Path) -> TopDown:
    library = pretrained.library()
    fields = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "out_indices": [2]}
    config = library.VitPoseConfig(backbone_config=library.VitPoseBackboneConfig(**fields), num_labels=17)
    library.VitPoseForPoseEstimation(config).save_pretrained(folder)
    return Vitpose(VitposeConfig.model_validate({"weights": str(folder), "flip": True} | PEOPLE), 1, "cuda:0")


def fault(recorded: Recorded, do: Callable[[], Any]) -> dict[str, Any]:
    """What is said of a mistake."""
    recorded.summary()
    try:
        do()
        error = ""
    except (RuntimeError, TypeError) as refused:
        error = str(refused)
    return recorded.summary() | {"error": error}


def faults() -> dict[str, Callable[[], Any]]:
    """Mistakes of each kind."""
    there, here = torch.arange(6.0, device=CUDA), torch.arange(6.0)
    return {
        "nothing wrong": lambda: (there * 2 + torch.tensor(1.0)).sum(),
        "a number is read": lambda: there.sum().item(),
        "a list is read": lambda: there.tolist(),
        "a blocking upload": lambda: here.to(CUDA),
        "an upload of a list": lambda: there[[0, 1]],
        "an upload that is not pinned": lambda: here.to(CUDA, non_blocking=True),
        "an upload as it should be": lambda: uploaded(here, CUDA),
        "a download": lambda: there.cpu(),
        "a boolean index": lambda: there[there > 2],
        "two devices": lambda: there + here,
        "an array": lambda: there.numpy(),
    }


def main() -> None:
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    with pretended_gpu() as recorded:
        work: dict[str, Callable[[], dict[str, Any]]] = {
            "lifter": partial(lifter_step, folder / "lifter", recorded, True, {}),
            "lifter on made views": partial(lifter_step, folder / "made", recorded, False, MADE),
            "benchmark of the step": partial(benchmarked, folder / "people", recorded),
            **{name: partial(detector_step, folder / name, recorded, net) for name, net in detector_plans().items()},
            "hrnet clip": partial(detected_clip, recorded, small_hrnet),
            "vitpose clip": partial(detected_clip, recorded, partial(small_vitpose, folder / "published")),
            "person finder": partial(found_people, recorded),
            **{f"fault: {name}": partial(fault, recorded, do) for name, do in faults().items()},
        }
        for name, run in work.items():
            print(json.dumps({"scenario": name, **run()}), flush=True)


if __name__ == "__main__":
    main()
