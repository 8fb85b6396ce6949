"""Metrics on held-out sequences while training: without mirrored copies, weighted by frames (lifting.md §1.11)."""

from pipelines.datasets.sequences import Sequences
from pipelines.lifters.inference import lift
from pipelines.lifters.model import LiftingModel
from pipelines.pose.metrics import errors_mm, sequence_metrics
from pipelines.pose.protocol import SequenceScore, frame_weighted_mean
from pipelines.train.worker_group import WorkerGroup


def validate(model: LiftingModel, sequences: Sequences, workers: WorkerGroup) -> dict[str, float]:
    """Mean metrics (mm) of a model over sequences with positions, which the workers share."""
    assert sequences.positions is not None
    assert sequences.positions_layout is not None
    root, bones = sequences.positions_layout.parents.index(-1), sequences.positions_layout.bones
    bounds = sequences.offsets.tolist()
    mine = range(workers.rank, len(sequences), workers.size)
    inputs = [sequences.inputs[bounds[n] : bounds[n + 1]] for n in mine]
    scores = []
    for number, (pose, _) in zip(mine, lift(model, inputs, flip=False), strict=True):
        target = sequences.positions[bounds[number] : bounds[number + 1]].cpu()
        target = target - target[:, root, None]
        info = sequences.infos[number]
        metrics = sequence_metrics(pose, target, bones)
        per_joint_mm = tuple(errors_mm(pose, target).mean(0).tolist())
        scores.append(SequenceScore(info.subject or "", info.action or "", len(target), metrics, per_joint_mm))
    everywhere = [score for part in workers.gather(scores) for score in part]
    mean = frame_weighted_mean(everywhere)
    return {name: float(value) for name, value in mean.metrics.items()}
