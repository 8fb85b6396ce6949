"""The top-down detector with an eye that needs no weights: every joint is the red spot of the crop."""

import logging

import numpy as np
import pytest
import torch
from torch.nn import functional

from pipelines.detectors.topdown.crops import DEVIATION, MEAN
from pipelines.detectors.topdown.detector import TopDown
from pipelines.detectors.topdown.options import TopDownConfig
from schemas.layouts import layout

COCO = layout("coco17")


class RedSpot:
    """Heat is redness at every fourth pixel, or as UDP has it; remembers the batches that it was given."""

    layout, input_wh, stride = COCO, (192, 256), 4

    def __init__(self, udp: bool = False) -> None:
        self.batches: list[int] = []
        self.udp = udp

    def __call__(self, crops: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(crops))
        red = crops[:, :1] * DEVIATION[0] + MEAN[0]
        if self.udp:
            red = functional.interpolate(red, (64, 48), mode="bilinear", align_corners=True)
        else:
            red = red[:, :, ::4, ::4]
        return red.expand(-1, len(COCO), -1, -1).contiguous()


class SmallMemory(RedSpot):
    """Has room for two crops."""

    def __call__(self, crops: torch.Tensor) -> torch.Tensor:
        if len(crops) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return super().__call__(crops)


class Broken(RedSpot):
    """Answers NaN to the second crop of each batch."""

    def __call__(self, crops: torch.Tensor) -> torch.Tensor:
        maps = super().__call__(crops)
        maps[1:2] = torch.nan
        return maps


def make(net=None, **options) -> TopDown:
    persons = {"name": "fixed_people:TwoPeople", **options.pop("persons", {})}
    net = net or RedSpot(udp=options.get("decode") == "udp")
    return TopDown(net, TopDownConfig.model_validate({"persons": persons, **options}), 1, "cpu", "")


def spots(count: int = 5, width: int = 320, height: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """Frames with a soft red spot in each half, and where: (frames, 2, 2), pixels of `People`."""
    rng = np.random.default_rng(0)
    places = rng.uniform((0.15, 0.3), (0.35, 0.7), (count, 2, 2)) + np.array([[0, 0], [0.5, 0]])
    places *= (width, height)
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    frames = np.zeros((count, height, width, 3), np.uint8)
    for frame, both in zip(frames, places, strict=True):
        for px, py in both:
            spot = 250 * np.exp(-((x - px) ** 2 + (y[:, None] - py) ** 2) / (2 * 6**2))
            frame[..., 0] = np.maximum(frame[..., 0], spot)
    return frames, places


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("decode", "within_px"), [("quarter", 2.5), ("dark", 0.6), ("udp", 0.1)])
def test_joints_are_found_where_they_are(decode, within_px, flip):
    frames, places = spots()
    by_frame = make(decode=decode, flip=flip)(frames)
    assert [len(people) for people in by_frame] == [2] * 5
    for people, both in zip(by_frame, places, strict=True):
        assert people.keypoints.dtype == people.scores.dtype == np.float32
        assert np.abs(people.keypoints - both[:, None]).max() < within_px
        # Fixed boxes score 0.9 and 0.8; the heat of the spots is just below 1.
        assert people.scores == pytest.approx([0.9, 0.8], rel=0.15)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_people_of_all_frames_share_batches(batch_size):
    frames, _ = spots()
    net = RedSpot()
    by_frame = make(net, batch_size=batch_size)(frames)
    assert sum(net.batches) == 10
    assert len(net.batches) == -(-10 // batch_size)
    for people, expected in zip(by_frame, make()(frames), strict=True):
        np.testing.assert_allclose(people.keypoints, expected.keypoints, atol=1e-4)


def test_the_result_of_a_clip_does_not_depend_on_earlier_clips():
    frames, _ = spots()
    detector = make()
    first, _, again = detector(frames), detector(frames[::-1].copy()), detector(frames)
    assert all(np.array_equal(a.keypoints, b.keypoints) for a, b in zip(first, again, strict=True))


def test_frames_without_people_give_no_people():
    frames, _ = spots()
    net = RedSpot()
    by_frame = make(net, persons={"min_score": 0.95})(frames)
    assert [people.keypoints.shape for people in by_frame] == [(0, 17, 2)] * 5
    assert net.batches == []
    assert make()(frames[:0]) == []
    assert make().estimate(frames[:0], []) == []


def test_a_black_frame_has_no_people_who_are_seen():
    assert [len(people) for people in make()(np.zeros((2, 240, 320, 3), np.uint8))] == [0, 0]


def test_boxes_given_are_kept_as_they_are_whatever_they_are():
    frames, places = spots(2)
    good = np.concatenate([places[0, 0] - 50, places[0, 0] + 50])
    boxes = np.array(
        [
            good,
            [400, 300, 500, 400],
            [-90, -90, -10, -10],
            [60, 60, 60, 60],
            [9, 9, 3, 3],
            [np.nan] * 4,
            [0, 0, 1e6, 1e6],
        ],
        np.float32,
    )
    with_people, without = make(decode="udp").estimate(frames, [boxes, boxes[:0]])
    assert len(without) == 0
    np.testing.assert_array_equal(with_people.boxes, boxes)
    assert np.isfinite(with_people.keypoints).all()
    assert with_people.scores[0] > 0.9
    assert np.abs(with_people.keypoints[0] - places[0, 0]).max() < 0.5
    assert (with_people.scores[[1, 2]] == 0).all(), "there is nothing outside the frame"
    assert (np.isfinite(with_people.scores) & (with_people.scores <= 1)).all()


def test_black_beside_the_frame_changes_nothing():
    frames, places = spots(1)
    boxes = [np.array([np.concatenate([places[0, 0] - 50, places[0, 0] + 50])], np.float32)]
    wide = np.zeros((1, 300, 500, 3), np.uint8)
    wide[:, :240, :320] = frames
    [narrow], [widened] = make().estimate(frames, boxes), make().estimate(wide, boxes)
    np.testing.assert_array_equal(narrow.keypoints, widened.keypoints)


@pytest.mark.parametrize("nms", ["hard", "soft"])
def test_one_person_found_twice(nms):
    frames, _ = spots(3)
    # Both boxes are wide enough to see the left spot alone, and see it.
    frames[:, :, 160:] = 0
    by_frame = make(nms=nms, persons={"name": "fixed_people:SamePerson", "max_overlap": 1.0})(frames)
    if nms == "hard":
        assert [len(people) for people in by_frame] == [1] * 3
    else:
        assert [len(people) for people in by_frame] == [2] * 3
        assert all(people.scores[1] < 0.4 * people.scores[0] for people in by_frame)
    assert all(people.scores[0] == pytest.approx(0.9, rel=0.15) for people in by_frame)


def test_nan_in_the_maps_is_nobody():
    frames, _ = spots(3)
    by_frame = make(Broken(), batch_size=2)(frames)
    assert [len(people) for people in by_frame] == [1, 1, 1]
    assert all(np.isfinite(people.keypoints).all() for people in by_frame)


def test_a_batch_that_does_not_fit_is_halved_and_logged_once(caplog):
    frames, _ = spots()
    net = SmallMemory()
    detector = make(net, batch_size=64)
    with caplog.at_level(logging.WARNING):
        by_frame = detector(frames)
        detector(frames)
    assert all(len(people) == 2 for people in by_frame)
    assert set(net.batches) == {2}
    assert [record.message for record in caplog.records] == [
        "10 people at once do not fit the GPU's memory: going on with 5, or fewer if need be"
    ]


def test_people_in_8k_frames_are_found():
    frame = np.zeros((1, 4320, 7680, 3), np.uint8)
    frame[0, 4300:4310, 7600:7610, 0] = 255
    [people] = make(decode="udp").estimate(frame, [np.array([[7560, 4230, 7660, 4320]], np.float32)])
    assert np.abs(people.keypoints - (7605, 4305)).max() < 1
    assert len(make()(frame)) == 1


def test_frames_that_cannot_be_written_to():
    frames, _ = spots(2)
    frames.flags.writeable = False
    assert [len(people) for people in make()(frames)] == [2, 2]


def test_boxes_between_searched_frames_are_interpolated():
    frames, places = spots(4)
    by_frame = make(persons={"every": 3, "name": "fixed_people:Walking"}, decode="udp")(np.repeat(frames[:1], 8, 0))
    boxes = np.array([people.boxes[0] for people in by_frame])
    np.testing.assert_allclose(boxes[:, 0], 10 + np.arange(8), atol=1e-4)
    assert all(np.abs(people.keypoints[0] - places[0, 0]).max() < 1 for people in by_frame)


def test_boxes_between_searched_frames_follow_the_timestamps():
    frames, _ = spots(1)
    # The frames that stand for 10 and 16 px are shown late, so that the person is nearly there.
    shown_s = np.array([0, 0.15, 0.18, 0.2, 0.35, 0.38, 0.4, 0.5])
    detector = make(persons={"every": 3, "name": "fixed_people:Walking"})
    by_frame = detector.detect_clip(np.repeat(frames, 8, 0), shown_s)
    lefts = [people.boxes[0, 0] for people in by_frame]
    np.testing.assert_allclose(lefts, [10, 12.25, 12.7, 13, 15.25, 15.7, 16, 17], atol=1e-4)


def test_timestamps_do_not_matter_if_every_frame_is_searched():
    frames, _ = spots()
    timed, untimed = make().detect_clip(frames, np.zeros(5)), make()(frames)
    for people, expected in zip(timed, untimed, strict=True):
        np.testing.assert_array_equal(people.keypoints, expected.keypoints)
        np.testing.assert_array_equal(people.boxes, expected.boxes)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("decode", ["quarter", "dark", "udp"])
def test_the_gpu_finds_what_the_cpu_finds(decode):
    frames, _ = spots(40, 640, 480)
    config = TopDownConfig.model_validate({"persons": {"name": "fixed_people:TwoPeople"}, "decode": decode})
    on_gpu = TopDown(RedSpot(decode == "udp"), config, 1, "cuda", "")(frames)
    for people, expected in zip(on_gpu, make(decode=decode)(frames), strict=True):
        np.testing.assert_allclose(people.keypoints, expected.keypoints, atol=1.0)
