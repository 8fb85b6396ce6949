import numpy as np
import pytest
import torch
from tracks.track_samples import INTRINSICS, make_track

from pipelines.pose import cameras
from pipelines.sampling.sequences import concatenate
from schemas.errors import UserError
from schemas.layouts import layout

COCO, H36M = layout("coco17"), layout("h36m17")
TRACKS = [make_track("t0", 12, seed=1), make_track("t1", 7, seed=2, subject="S5", width=640, height=480)]


@pytest.mark.parametrize("features", [2, 3])
def test_tracks_lie_one_after_another_in_screen_units(features):
    sequences = concatenate(TRACKS, layout=COCO, features=features, positions_layout=H36M)
    assert sequences.offsets.tolist() == [0, 12, 19]
    assert (len(sequences), sequences.frames, sequences.lengths.tolist()) == (2, 19, [12, 7])
    assert [(info.track_id, info.subject, info.width) for info in sequences.infos] == [
        ("t0", "S1", 1000),
        ("t1", "S5", 640),
    ]
    x, y = torch.tensor(TRACKS[1].keypoints).unbind(-1)
    assert torch.allclose(
        sequences.keypoints[12:], torch.stack([2 * x / 640 - 1, 2 * y / 640 - 480 / 640], -1), atol=1e-6
    )
    assert torch.equal(sequences.inputs[..., :2], sequences.keypoints)
    assert torch.equal(sequences.scores[:12], torch.tensor(TRACKS[0].scores))
    assert sequences.inputs.shape == (19, 17, features)
    assert features == 2 or torch.equal(sequences.inputs[..., 2], sequences.scores)
    assert sequences.positions is not None
    assert torch.equal(sequences.positions[12:], torch.tensor(TRACKS[1].positions))
    assert sequences.cameras is not None
    assert torch.equal(sequences.cameras[1], cameras.camera_vector(INTRINSICS, 640, 480))


def test_positions_are_left_out_unless_wanted():
    sequences = concatenate(TRACKS, layout=COCO)
    assert (sequences.positions, sequences.positions_layout) == (None, None)


def test_cameras_are_all_or_none():
    assert concatenate([TRACKS[0], make_track(intrinsics=None)], layout=COCO).cameras is None


def test_keypoints_share_the_memory_of_the_inputs():
    sequences = concatenate(TRACKS, layout=COCO, features=3).to("cpu")
    assert sequences.keypoints.data_ptr() == sequences.inputs.data_ptr() == sequences.scores.data_ptr() - 8


def with_nan(name, frame):
    values = getattr(make_track(), name).copy()
    values[frame, 3] = np.nan
    return {name: values}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"layout": "h36m17"}, r"keypoints are h36m17, which lacks nose of coco17; give tracks of coco17"),
        ({"positions": None}, r"has no positions; labeled tracks come from raylift import_poses"),
        (
            {"positions_layout": "humaneva15"},
            r"positions are humaneva15, expected h36m17; give tracks labeled in h36m17",
        ),
        ({"intrinsics": None}, r"has no intrinsics, .*; label with assumed_fov_deg, or train with projection=orthog"),
        (with_nan("keypoints", 6), r"keypoints of frame 6 are not finite; mend or remove the track"),
        (with_nan("scores", 7), r"scores of frame 7 are not finite"),
        (with_nan("positions", 8), r"positions of frame 8 are not finite"),
        ({"keypoints": make_track().keypoints / 1000}, r"keypoints are shares of the picture's size, not pixels; mul"),
        ({"keypoints": np.full((20, 17, 2), 99, np.float32)}, r"keypoints all lie on one point, where no person is"),
    ],
)
def test_bad_tracks_are_named(changes, text):
    tracks = [TRACKS[0], make_track("t9", **changes)]
    with pytest.raises(UserError, match=rf"^track t9 \(t9.mp4\): {text}"):
        concatenate(tracks, layout=COCO, positions_layout=H36M, needs_intrinsics=True)


def test_nothing_to_train_on_is_said():
    with pytest.raises(UserError, match=r"^tracks: there is no frame to train on"):
        concatenate([make_track(frames=0)], layout=COCO)
