from dataclasses import replace

import numpy as np
import torch
from aligners.two_views import SMALL, groups

from pipelines.aligners.pairs import Pairs, shortest_frames


def pairs(**changes):
    return Pairs(groups(), SMALL.data.model_copy(update=changes), window=9)


def test_a_pair_depends_on_its_seed_alone():
    both = pairs().draw([(0, 1), (0, 2)])
    assert both.windows.shape == (2, 2, 20, 9, 24)
    assert torch.equal(pairs().draw([(0, 2)]).windows[0], both.windows[1])
    assert not torch.equal(both.windows[0], both.windows[1])
    assert len(both) == 80


def test_times_are_in_order_and_shares_of_the_stretch():
    times = pairs(frames=40).draw([(0, seed) for seed in range(8)]).times
    assert (times.diff(dim=-1) >= 0).all()
    assert times.min() >= 0
    assert times.max() < 1


def test_two_views_of_a_take_show_the_same_stretch_and_the_same_side():
    sample = pairs(noise=0.0, speed=(1.0, 1.0)).draw([(0, seed) for seed in range(8)])
    for (first, second), (first_times, second_times) in zip(sample.windows, sample.times, strict=True):
        shared = np.intersect1d(first_times, second_times)
        here, there = np.searchsorted(first_times, shared), np.searchsorted(second_times, shared)
        assert len(shared)
        torch.testing.assert_close(first[here], second[there], atol=1e-3, rtol=0)


def test_windows_are_whole_up_to_the_shortest_recording():
    """A pose that stands for its frame shows that no window repeats the first or the last one."""
    frames = shortest_frames(9, SMALL.data.speed)
    assert (frames, shortest_frames(27, SMALL.data.speed)) == (15, 45)
    person = next(iter(groups().values()))[0]
    counted = np.broadcast_to(np.arange(frames)[:, None, None], (frames, 12, 2)).astype(np.float32)
    config = SMALL.data.model_copy(update={"noise": 0.0, "mirroring": False})
    people = {"take": [replace(person, poses=counted), replace(person, poses=np.concatenate([counted, counted + 15]))]}
    for pairs in ("take", "action"):
        drawn = Pairs(people, config.model_copy(update={"pairs": pairs}), 9).draw([(0, seed) for seed in range(20)])
        steps = drawn.windows[..., 0].diff(dim=-1)
        assert (steps > 0.7).all()
        assert torch.allclose(steps, steps[..., :1].expand_as(steps), atol=1e-4)
