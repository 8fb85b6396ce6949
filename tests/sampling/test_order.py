import pytest
import torch

from pipelines.sampling.order import EndlessOrder, EpochOrder, rank_share, require_work
from schemas.errors import UserError


def test_an_epoch_has_each_chunk_once_plain_and_once_mirrored():
    order = EpochOrder(count=10, batch_size=6, seed=1)
    assert (order.steps_per_epoch, order.smallest_batch) == (4, 5)
    batches = [order.batch(0, step) for step in range(4)]
    assert [len(batch) for batch in batches] == [5, 5, 5, 5]
    assert sorted(torch.cat(batches).tolist()) == list(range(20))
    assert order.batch(3, 1).tolist() == EpochOrder(10, 6, 1).batch(3, 1).tolist()
    # 21 samples: no batch of a single one, which has no variance.
    assert EpochOrder(21, 5, 1, "none").smallest_batch == 4


def test_epochs_and_seeds_differ():
    orders = [EpochOrder(50, 6, seed).epoch(epoch).tolist() for seed in (1, 2) for epoch in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4


def test_mirroring_by_a_coin_or_not_at_all():
    order = EpochOrder(100, 7, 0, "random")
    assert sorted((order.epoch(0) % 100).tolist()) == list(range(100))
    assert 30 < int((order.epoch(0) >= 100).sum()) < 70
    assert (order.epoch(0) >= 100).tolist() != (order.epoch(1) >= 100).tolist()
    assert sorted(EpochOrder(100, 7, 0, "none").epoch(5).tolist()) == list(range(100))


@pytest.mark.parametrize("batch_size", [3, 20, 45])
def test_endless_batches_reach_over_passes(batch_size):
    order = EndlessOrder(10, batch_size, 4)
    stream = torch.cat([order.batch(number) for number in range(40)])
    assert len(stream) == 40 * batch_size
    passes = stream[: len(stream) // 20 * 20].view(-1, 20)
    assert all(sorted(samples.tolist()) == list(range(20)) for samples in passes)
    assert len({tuple(samples.tolist()) for samples in passes}) == len(passes)
    assert torch.equal(EndlessOrder(10, batch_size, 4).batch(31), order.batch(31))


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_the_shares_of_all_workers_are_the_batch(world):
    batch = EpochOrder(10, 6, 1).batch(0, 0)
    shares = [rank_share(batch, rank, world) for rank in range(world)]
    assert sorted(torch.cat(shares).tolist()) == sorted(batch.tolist())
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_more_workers_than_samples_are_refused():
    require_work(5, 5)
    with pytest.raises(UserError, match=r"^num_workers=6: more workers than samples, the smallest batch has 5; take "):
        require_work(EpochOrder(10, 6, 1).smallest_batch, 6)
