from typing import Any, cast

import pytest
import torch

from pipelines.lifters.clips import clip_batches, clips_of
from pipelines.lifters.inference import lift
from pipelines.lifters.model import LiftingModel
from schemas.frame_window import FrameWindow
from schemas.job_config import JobConfig
from schemas.layouts import LAYOUTS

H36M = LAYOUTS["h36m17"]


class Contrary(torch.nn.Module):
    """Takes clips, and disagrees with itself: every second clip is predicted a metre further right."""

    Config = JobConfig
    window, input_features = FrameWindow.clip(27), 2
    input_layout = output_layout = H36M

    def __init__(self, *_):
        super().__init__()
        self.calls, self.lengths = torch.nn.Parameter(torch.zeros(())), []

    def forward(self, inputs):
        self.lengths += [inputs.shape[1]] * len(inputs)
        sides = torch.arange(len(self.lengths) - len(inputs), len(self.lengths)) % 2
        return torch.cat([inputs, inputs[..., :1]], -1) + sides[:, None, None, None]


def test_every_frame_gets_shares_that_sum_to_one():
    for length in (1, 5, 27, 28, 100):
        total = torch.zeros(length)
        for clip in clips_of(0, length, 27):
            assert clip.stop - clip.start == min(length, 27)
            total[clip.start : clip.stop] += clip.shares
        torch.testing.assert_close(total, torch.ones(length))


@pytest.mark.parametrize("most_frames", [27, 54, 1000])
def test_batches_have_one_length_and_bounded_size(most_frames):
    batches = list(clip_batches([100, 5, 27, 5, 1], 27, most_frames))
    for batch in batches:
        lengths = [clip.stop - clip.start for clip in batch]
        assert len(set(lengths)) == 1
        assert sum(lengths) <= most_frames
    assert {clip.track for batch in batches for clip in batch} == set(range(5))


def test_a_short_track_is_read_at_its_own_length():
    lifter: Any = Contrary()
    lift(LiftingModel(lifter, None), [torch.zeros(5, 17, 2), torch.zeros(40, 17, 2)], flip=False)
    assert sorted(set(lifter.lengths)) == [5, 27]


def test_there_are_no_seams_where_clips_begin_and_end():
    motion = torch.linspace(0, 1, 300)[:, None, None].expand(-1, 17, 2)
    [(pose, _)] = lift(LiftingModel(cast(Any, Contrary()), None), [motion], flip=False)
    bends = pose[:, 0, 0].diff(n=2).abs()
    # Clips begin at every ninth frame. Where one begins, the prediction may not bend more than between such frames.
    borders = torch.tensor([place for start in range(9, 250, 9) for place in (start - 2, start - 1)])
    elsewhere = torch.ones(len(bends), dtype=torch.bool)
    elsewhere[borders] = False
    # The two halves of a metre that the clips disagree about are never passed in one frame.
    assert bends[borders].max() < 0.1
    assert bends[borders].median() < 2 * bends[elsewhere].max()
