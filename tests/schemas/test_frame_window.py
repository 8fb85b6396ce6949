import pytest

from schemas.frame_window import FrameWindow, frames_read


def test_windows_that_slide_predict_the_middle_or_the_last_frame():
    assert FrameWindow.sliding(27) == FrameWindow(27, 1, 13)
    assert FrameWindow.sliding(27, causal=True) == FrameWindow(27, 1, 26)
    assert FrameWindow.sliding(27).context == 26
    assert not FrameWindow.sliding(1).takes_clips


def test_clips_are_read_and_predicted_whole():
    clip = FrameWindow.clip(81)
    assert (clip.context, clip.takes_clips) == (0, True)
    assert not clip.repeats_ends_of(5)
    assert FrameWindow.sliding(9).repeats_ends_of(8)
    assert not FrameWindow.sliding(9).repeats_ends_of(9)


@pytest.mark.parametrize("numbers", [(0, 1, 0), (9, 1, 9), (9, 1, -1), (9, 3, 3), (9, 9, 1), (9, 10, 0)])
def test_other_windows_are_refused(numbers):
    with pytest.raises(ValueError, match="predicts one of the frames it reads, or all"):
        FrameWindow(*numbers)


def test_cards_of_all_versions_say_how_many_frames_are_read():
    assert frames_read({"window": {"inputs": 27}}) == frames_read({"receptive_field": 27}) == 27
