"""A step depends on seed, epoch and step alone, and training brings recordings in step."""

import torch
from aligners.two_views import SMALL, groups

from pipelines.train_aligner.loop import AlignerTraining
from pipelines.training.worker_group import WorkerGroup


def training(**optimization):
    config = SMALL.model_copy(update={"optimization": SMALL.optimization.model_copy(update=optimization)})
    made = groups()
    held_out = {name: made.pop(name) for name in list(made) if name.startswith("S2")}
    return AlignerTraining(config, made, held_out, WorkerGroup(torch.device("cpu")))


def test_a_training_that_goes_on_ends_with_the_same_weights():
    whole, first, second = training(), training(), training()
    for _ in range(2):
        whole.run_epoch()
    first.run_epoch()
    second.restore(first.state())
    second.run_epoch()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name
    assert [report.epoch for report in second.history] == [1, 2]


def test_the_loss_falls_and_people_held_out_are_in_step():
    one = training(steps=40, batch_pairs=4)
    reports = [one.run_epoch() for _ in range(3)]
    assert reports[-1].losses["total"] < 0.8 * reports[0].losses["total"]
    assert reports[-1].validation["kendalls_tau"] > 0.8
    assert reports[0].count == 40 * 4 * 2 * 20
