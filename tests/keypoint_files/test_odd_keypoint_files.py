"""Files of keypoints whose numbers cannot be meant as they stand are refused in a line, instead of losing data."""

import numpy as np
import pytest
from files_of_others import deeplabcut_csv, only, points, trc_text, write
from pydantic import ValidationError

from pipelines.keypoint_files import arrays, deeplabcut, instance_lists, result_lists, trc
from pipelines.keypoint_files.formats import MMPose
from pipelines.keypoint_files.found_videos import up_to_one
from schemas.errors import UserError
from schemas.layouts import LAYOUTS, layout


def mmpose_frames(scores, numbers=(0, 1, 2)):
    people = [{"keypoints": points(17)[0, :, :2].tolist(), "keypoint_scores": list(scores)}]
    return [{"frame_id": number, "instances": people} for number in numbers]


@pytest.mark.parametrize(
    ("scores", "value_range"),
    [
        ([95.0] * 17, "0 to 95"),
        ([0.5] * 16 + [-6.2], "-6.2 to 0.5"),
        ([-0.4] * 8 + [0.4] * 9, "-0.4 to 0.4"),
    ],
)
def test_scores_that_are_no_confidences_are_refused_with_their_range(scores, value_range, tmp_path):
    line = rf"its scores are {value_range}, must be 0 to 1 \(0: missing\)"
    with pytest.raises(UserError, match=line):
        only(instance_lists.read(write(tmp_path / "a.json", mmpose_frames(scores))))
    keypoints = np.concatenate([points(17)[..., :2], np.array(scores)[None, :, None]], axis=2)
    np.savez(tmp_path / "a.npz", keypoints=keypoints, layout="coco17")
    with pytest.raises(UserError, match=line):
        only(arrays.read(f"{tmp_path}/a.npz", {}))


def test_scores_a_little_off_and_those_of_simcc_are_taken(tmp_path):
    video = only(instance_lists.read(write(tmp_path / "a.json", mmpose_frames([1.02] * 15 + [5.5, -0.02]))))
    within, note = up_to_one(video)
    assert within.frames[0].keypoint_scores[0].tolist() == [1.0] * 16 + [0.0]
    assert note == f"{tmp_path}/a.json: confidences reach 5.5; those above 1 count as 1"
    video = only(instance_lists.read(write(tmp_path / "a.json", mmpose_frames([0.9] * 5 + [-1.0] * 12))))
    assert (video.frames[0].keypoint_scores[0] > 0).sum() == 5, "-1 is how some write a missing joint"


def test_names_that_no_joint_of_the_file_has_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", keypoints=points(17), layout="coco17")
    with pytest.raises(UserError, match=r"source\.names: .*a\.npz has no joint snout; its joints are nose, left_eye"):
        only(arrays.read(f"{tmp_path}/a.npz", {"snout": "nose"}))


def test_frames_with_the_same_number_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"a\.json: has frame 0 3 times; give every frame a number of its own"):
        only(instance_lists.read(write(tmp_path / "a.json", mmpose_frames([0.9] * 17, (0, 0, 0)))))
    with pytest.raises(UserError, match=r"frame_id=3\.5: frames have whole numbers"):
        only(instance_lists.read(write(tmp_path / "a.json", mmpose_frames([0.9] * 17, (3.5,)))))
    lines = deeplabcut_csv([""])[0].splitlines()
    (tmp_path / "walkDLC.csv").write_text("\n".join([*lines, lines[-1]]))
    with pytest.raises(UserError, match=r"has frame 3 2 times"):
        only(deeplabcut.read(f"{tmp_path}/walkDLC.csv", {"hipL": "left_hip", "hipR": "right_hip"}))


@pytest.mark.parametrize(
    ("image", "line"), [(-1, "image_id=-1: frames are numbered from 0 on"), (3.5, r"image_id=3\.5: frames have whole")]
)
def test_numbers_of_pictures_that_are_no_frames_are_refused(image, line, tmp_path):
    entries = [{"image_id": image, "keypoints": points(17).ravel().tolist(), "score": 1.0}]
    with pytest.raises(UserError, match=line):
        only(result_lists.read(write(tmp_path / "a.json", entries)))


@pytest.mark.parametrize("name", sorted(LAYOUTS))
@pytest.mark.parametrize("named_by", ["layout", "joints"])
def test_arrays_are_of_the_layout_that_they_name(name, named_by, tmp_path):
    keypoints = points(len(layout(name)), 5)
    if named_by == "layout":
        np.savez(tmp_path / "walk.npz", keypoints=keypoints, layout=name)
    else:
        np.savez(tmp_path / "walk.npz", keypoints=keypoints, joints=layout(name).joints)
    video = only(arrays.read(f"{tmp_path}/walk.npz", {}))
    assert (video.layout.name, video.note) == (name, None)
    assert video.frames[4].keypoints[0] == pytest.approx(keypoints[4, :, :2], rel=1e-6)


def test_a_joint_of_an_array_at_exactly_0_0_is_missing(tmp_path):
    keypoints = points(17, 5)[..., :2]
    keypoints[2, 3] = 0
    np.savez(tmp_path / "walk.npz", keypoints=keypoints, layout="coco17")
    video = only(arrays.read(f"{tmp_path}/walk.npz", {}))
    assert video.frames[2].keypoint_scores[0].tolist() == [1, 1, 1, 0, *[1] * 13]


@pytest.mark.parametrize("rate", ["0", "-30", "nan"])
def test_a_trc_file_without_a_rate_is_refused(rate, tmp_path):
    (tmp_path / "walk.trc").write_text(trc_text("px")[0].replace("\n30\t30", f"\n{rate}\t30"))
    with pytest.raises(UserError, match=rf"DataRate={rate}: must be above 0, the frames per second"):
        only(trc.read(f"{tmp_path}/walk.trc", {}))


def test_a_file_that_is_given_twice_is_refused(tmp_path):
    file = write(tmp_path / "a.json", mmpose_frames([0.9] * 17))
    for files in ((file, file), (file, str(tmp_path))):
        with pytest.raises(UserError, match=r"source\.files: holds \S+a\.json 2 times; name every file once"):
            list(MMPose(MMPose.Config(files=files, width=640, height=480, fps=30)).tracks())


def test_a_rate_that_no_camera_has_is_refused():
    with pytest.raises(ValidationError, match="fps"):
        MMPose.Config(files="a.json", fps=1e9)
