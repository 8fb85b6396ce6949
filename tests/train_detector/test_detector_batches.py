import torch
from train_detector.people_samples import canvases

from pipelines.sampling.order import EpochOrder
from pipelines.train_detector.batches import Batches
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train_detector import AugmentationConfig

ORDER = EpochOrder(6, 4, 0, "none")
CPU = torch.device("cpu")


def epoch(canvas_set, number=0, workers=None):
    batches = Batches(canvas_set, workers or WorkerGroup(CPU), 2)
    return list(batches.training(ORDER, number, AugmentationConfig()))


def test_an_epoch_has_everybody_once_and_is_the_same_again(tmp_path):
    canvas_set = canvases(tmp_path)
    first, again, next_one = epoch(canvas_set), epoch(canvas_set), epoch(canvas_set, 1)
    assert sorted(torch.cat([batch.people for batch in first]).tolist()) == list(range(6))
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a.canvases, b.canvases)
        assert torch.equal(a.view.matrices, b.view.matrices)
    assert not torch.equal(first[0].view.matrices, next_one[0].view.matrices)


def test_canvases_are_those_of_the_people(tmp_path):
    canvas_set = canvases(tmp_path)
    for batch in epoch(canvas_set):
        for canvas, person in zip(batch.canvases, batch.people.tolist(), strict=True):
            assert torch.equal(canvas, torch.from_numpy(canvas_set.canvas(person)))


def test_workers_share_the_batches_of_one(tmp_path):
    canvas_set = canvases(tmp_path)
    alone = epoch(canvas_set)
    shares = [epoch(canvas_set, workers=WorkerGroup(CPU, rank, 2)) for rank in range(2)]
    for step, batch in enumerate(alone):
        assert [share[step].total for share in shares] == [len(batch.people)] * 2
        for rank, share in enumerate(shares):
            assert torch.equal(share[step].people, batch.people[rank::2])
            assert torch.equal(share[step].view.points, batch.view.points[rank::2])


def test_validation_has_everybody_in_order(tmp_path):
    canvas_set = canvases(tmp_path)
    batches = list(Batches(canvas_set, WorkerGroup(CPU), 1).validation(4))
    assert [batch.people.tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5]]


def test_leaving_an_epoch_early_ends_its_threads(tmp_path):
    batches = Batches(canvases(tmp_path), WorkerGroup(CPU), 1).training(ORDER, 0, AugmentationConfig())
    next(batches)
    batches.close()
