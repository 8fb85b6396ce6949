"""Metrics on held-out sequences during training: without the mirror image, weighted by frames.

See docs/method.md, metrics and protocols.
"""

from pipelines.lifters.inference import lift
from pipelines.lifters.model import LiftingModel
from pipelines.pose.protocol import SequenceScore, frame_weighted_mean
from pipelines.pose.scoring import score_sequence
from pipelines.sampling.sequences import Sequences
from pipelines.training.worker_group import WorkerGroup


def validate(model: LiftingModel, sequences: Sequences, workers: WorkerGroup) -> dict[str, float]:
    """Mean metrics of a model over labeled sequences, each of which one of the workers lifts."""
    assert sequences.positions is not None
    assert sequences.positions_layout is not None
    bounds = sequences.offsets.tolist()
    own = range(workers.rank, len(sequences), workers.size)
    inputs = [sequences.inputs[bounds[n] : bounds[n + 1]] for n in own]
    scores = []
    for number, (pose, trajectory) in zip(own, lift(model, inputs, flip=False), strict=True):
        positions = sequences.positions[bounds[number] : bounds[number + 1]].cpu()
        score = score_sequence(sequences.positions_layout, pose, trajectory, positions=positions)
        info = sequences.infos[number]
        scores.append(
            SequenceScore(info.subject or "", info.action or "", len(positions), score.metrics, score.per_joint_mm)
        )
    return frame_weighted_mean([score for part in workers.gather(scores) for score in part]).metrics
