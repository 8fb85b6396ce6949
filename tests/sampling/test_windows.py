import pytest
import torch
from tracks.track_samples import make_track

from pipelines.pose import cameras, flips
from pipelines.sampling.sequences import SequenceInfo, Sequences, concatenate
from pipelines.sampling.windows import Batch, Windows, WindowShape, chunk_counts, chunk_table
from schemas.frame_window import FrameWindow
from schemas.layouts import JointLayout, layout

COCO, H36M = layout("coco17"), layout("h36m17")
POINT = JointLayout("point", ("pelvis",), (-1,))


def golden_sequences() -> Sequences:
    """Of golden_temporal_conv.json: arange reshaped (50,1,2) and (37,1,2)."""
    inputs = torch.cat([torch.arange(n * 2.0).reshape(n, 1, 2) for n in (50, 37)])
    info = SequenceInfo("", "", None, None, None, 1, 1, 50.0)
    offsets = torch.tensor([0, 50, 87])
    return Sequences((info, info), POINT, None, inputs, inputs, inputs[..., 0], None, None, torch.zeros(2, 3), offsets)


@pytest.mark.parametrize(
    ("chunk", "samples", "first", "last"), [(1, 87, [0, 0, 1], [1, 36, 37]), (8, 12, [0, -3, 5], [1, 31, 39])]
)
def test_chunks_of_the_reference(chunk, samples, first, last):
    shape = WindowShape(FrameWindow.sliding(9), chunk)
    sequence, start = chunk_table(torch.tensor([50, 37]), shape)
    bounds = torch.stack([sequence, start, start + chunk], 1).tolist()
    assert (len(bounds), bounds[0], bounds[-1]) == (samples, first, last)
    assert chunk_counts(torch.tensor([50, 37]), shape).sum() == samples


# The reference lists its first and last window after shuffling: here they are the chunks with these centres.
@pytest.mark.parametrize(
    ("chunk", "sample", "x"),
    [
        (1, 30, [52, 54, 56, 58, 60, 62, 64, 66, 68]),
        (1, 86, [64, 66, 68, 70, 72, 72, 72, 72, 72]),
        (8, 0, [0, 0, 0, 0, 0, 0, 0, 0, 2, 4, 6, 8, 10, 12, 14, 16]),
        (8, 11, [54, 56, 58, 60, 62, 64, 66, 68, 70, 72, 72, 72, 72, 72, 72, 72]),
    ],
)
def test_windows_of_the_reference(chunk, sample, x):
    batch = Windows(golden_sequences(), WindowShape(FrameWindow.sliding(9), chunk)).batch(torch.tensor([sample]))
    assert batch.inputs[0, :, 0, 0].tolist() == x
    assert batch.keypoints[0, :, 0, 0].tolist() == x[4 : 4 + chunk]


def test_a_causal_lifter_is_compared_with_the_last_frame():
    windows = Windows(golden_sequences(), WindowShape(FrameWindow.sliding(9, causal=True)))
    batch = windows.batch(torch.tensor([30, 51]))
    assert batch.inputs[0, :, 0, 0].tolist() == [44, 46, 48, 50, 52, 54, 56, 58, 60]
    assert batch.inputs[1, :, 0, 0].tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert batch.keypoints[:, 0, 0, 0].tolist() == [60, 2]
    assert batch.scores[:, 0, 0].tolist() == [60, 2]


TRACKS = [make_track(f"t{i}", frames, seed=i, width=1000 - i) for i, frames in enumerate([1, 2, 5, 13, 40])]


@pytest.mark.parametrize("features", [2, 3])
@pytest.mark.parametrize(("frames", "offset", "chunk"), [(1, 0, 1), (9, 4, 1), (9, 8, 4), (9, 6, 1), (27, 13, 7)])
def test_every_sample_equals_its_definition(features, frames, offset, chunk):
    data = concatenate(TRACKS, layout=COCO, features=features, positions_layout=H36M)
    windows = Windows(data, WindowShape(FrameWindow(frames, 1, offset), chunk))
    batch = windows.batch(torch.arange(2 * len(windows)))
    assert data.positions is not None
    assert data.cameras is not None
    assert batch.positions is not None
    assert batch.cameras is not None
    for i in range(len(batch)):
        sequence, start = int(batch.sequences[i]), int(batch.starts[i])
        first, last = int(data.offsets[sequence]), int(data.offsets[sequence + 1]) - 1
        rows = [min(max(first + start - offset + k, first), last) for k in range(frames - 1 + chunk)]
        target = [min(max(first + start + k, first), last) for k in range(chunk)]
        expected = [data.inputs[rows], data.keypoints[target], data.positions[target], data.cameras[sequence]]
        scores = data.scores[target]
        if i >= len(windows):
            expected = [
                *(flips.mirror_joints(values, COCO) for values in expected[:2]),
                flips.mirror_joints(expected[2], H36M),
                flips.mirror_camera(expected[3]),
            ]
            scores = flips.mirror_confidence(scores, COCO)
        actual = [batch.inputs[i], batch.keypoints[i], batch.positions[i], batch.cameras[i]]
        assert all(torch.equal(a, b) for a, b in zip(actual, expected, strict=True))
        assert torch.equal(batch.scores[i], scores)


def test_a_mirrored_sample_projects_onto_its_keypoints():
    data = concatenate([make_track(positions_layout="coco17")], layout=COCO, positions_layout=COCO)
    batch = Windows(data, WindowShape(FrameWindow.sliding(1))).batch(torch.tensor([3, 23]))
    assert batch.positions is not None
    assert batch.cameras is not None
    points = batch.positions + torch.tensor([0.0, 0.0, 5.0])
    plain, mirrored = cameras.project(points, batch.cameras[:, None, None])
    assert torch.allclose(mirrored, flips.mirror_joints(plain, COCO), atol=1e-6)


def test_every_frame_is_predicted_once_but_for_the_overhang():
    lengths = torch.tensor([1, 5, 8, 50])
    sequence, start = chunk_table(lengths, WindowShape(FrameWindow.sliding(1), 4))
    for number, length in enumerate(lengths.tolist()):
        covered = (start[sequence == number, None] + torch.arange(4)).flatten().tolist()
        assert covered == list(range(covered[0], covered[0] + len(covered)))
        assert covered[0] <= 0
        assert covered[-1] >= length - 1
        assert abs(-covered[0] - (covered[-1] - length + 1)) <= 1


def test_batches_are_joined():
    windows = Windows(golden_sequences(), WindowShape(FrameWindow.sliding(9)))
    both = Batch.concatenate([windows.batch(torch.tensor([1, 2])), windows.batch(torch.tensor([90]))])
    assert torch.equal(both.inputs, windows.batch(torch.tensor([1, 2, 90])).inputs)
    assert both.mirrored.tolist() == [False, False, True]
    assert both.positions is None


def test_clips_overlap_and_stay_within_sequences_that_are_as_long():
    lengths, shape = torch.tensor([4, 9, 10, 50]), WindowShape(FrameWindow.clip(9), 9)
    sequence, start = chunk_table(lengths, shape)
    starts = [start[sequence == number].tolist() for number in range(4)]
    assert starts[:3] == [[-3], [0], [0, 1]]
    assert (starts[3][0], starts[3][-1]) == (0, 41)
    assert all(0 < after - before <= 3 for before, after in zip(starts[3], starts[3][1:], strict=False))
    assert chunk_counts(lengths, shape).tolist() == [len(own_starts) for own_starts in starts]


def test_a_clip_is_input_and_target():
    batch = Windows(golden_sequences(), WindowShape(FrameWindow.clip(6), 6)).batch(torch.tensor([1]))
    assert batch.inputs[0, :, 0, 0].tolist() == batch.keypoints[0, :, 0, 0].tolist() == [4, 6, 8, 10, 12, 14]
