import numpy as np
import pytest
import torch

from pipelines.detectors import clip_frames
from pipelines.detectors.clip_frames import ClipFrames

FRAMES = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), np.uint8)


def test_on_a_cpu_frames_are_not_copied():
    clip = ClipFrames(FRAMES, "cpu").until(1)
    assert clip.data_ptr() == FRAMES.ctypes.data
    np.testing.assert_array_equal(clip.numpy(), FRAMES)


@pytest.mark.parametrize("piece_frames", [0.5, 1, 2, 99])
def test_pieces_arrive_before_they_are_read_and_once(piece_frames, monkeypatch):
    monkeypatch.setattr(clip_frames, "_PIECE_BYTES", int(piece_frames * FRAMES[0].nbytes))
    frames = FRAMES.copy()
    clip = ClipFrames(frames, "cpu", copied=True)
    for stop in (0, 1, 2, 4, 5):
        np.testing.assert_array_equal(clip.until(stop)[:stop].numpy(), FRAMES[:stop])
        frames[:stop] = 0  # what was uploaded is not read again
    np.testing.assert_array_equal(clip.until(5).numpy(), FRAMES)


def test_a_clip_without_frames():
    assert ClipFrames(FRAMES[:0], "cpu", copied=True).until(0).shape == (0, 4, 6, 3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_uploads_wait_until_the_device_no_longer_uses_the_memory():
    frames = np.random.default_rng(0).integers(0, 256, (64, 360, 640, 3), np.uint8)
    for clip in (frames, frames[::-1].copy()):
        on_gpu = ClipFrames(clip, "cuda")
        sums = [on_gpu.until(stop)[stop - 8 : stop].long().sum() for stop in range(8, 65, 8)]
        assert [int(each) for each in sums] == [int(part.sum()) for part in np.split(clip, 8)]
