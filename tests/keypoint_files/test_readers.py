"""Files as other systems write them, made here: what they say of people comes out by joint and frame."""

from unittest.mock import Mock, patch

import h5py
import numpy as np
import pytest
from files_of_others import RNG, deeplabcut_csv, only, points, trc_text, write

from pipelines.keypoint_files import (
    arrays,
    deeplabcut,
    instance_lists,
    landmarks,
    openpose,
    result_lists,
    sleap,
    source,
    trc,
)
from pipelines.keypoint_files.formats import AlphaPose, MMPose
from pipelines.keypoint_files.joint_names import joint_name, layout_by_names
from schemas.errors import UserError
from schemas.layouts import layout


@pytest.mark.parametrize(("joints", "name"), [(25, "body25"), (18, "openpose18")])
def test_openpose(joints, name, tmp_path):
    people = points(joints, 2)
    people[1, 4] = 0
    for frame, in_frame in ((0, people), (1, []), (3, people[:1])):
        entries = [{"pose_keypoints_2d": np.ravel(person).tolist()} for person in in_frame]
        write(tmp_path / f"walk_{frame:012}_keypoints.json", {"version": 1.3, "people": entries})
    video = only(openpose.read(str(tmp_path)))
    assert (video.name, video.layout.name, sorted(video.frames)) == ("walk", name, [0, 1, 3])
    assert [len(video.frames[frame]) for frame in (0, 1, 3)] == [2, 0, 1]
    assert video.frames[0].keypoints[0] == pytest.approx(people[0, :, :2], rel=1e-6)
    assert video.frames[0].keypoint_scores[1, 4] == 0
    wrist = video.layout.index("right_wrist")
    assert (video.frames[3].keypoints[0, wrist] == people[0, 4, :2].astype(np.float32)).all()


def test_openpose_of_another_model_is_refused(tmp_path):
    people = [{"pose_keypoints_2d": points(15).ravel().tolist()}]
    write(tmp_path / "a_000000000000_keypoints.json", {"people": people})
    with pytest.raises(UserError, match=r"a person has 15 joints; this format has 25 \(body25\), 18 \(openpose18\)"):
        list(openpose.read(str(tmp_path)))
    with pytest.raises(UserError, match=r"holds no files NAME_000000000000_keypoints\.json"):
        list(openpose.read(str(tmp_path / "nowhere")))


@pytest.mark.parametrize(("joints", "name"), [(17, "coco17"), (26, "halpe26")])
def test_alphapose(joints, name, tmp_path):
    people = points(joints, 3)
    frames = ["0.jpg", "0.jpg", "frame_0002.jpg"]
    entries = [
        {"image_id": image, "category_id": 1, "keypoints": person.ravel().tolist(), "score": 2.8, "idx": 1}
        for image, person in zip(frames, people, strict=True)
    ]
    video = only(result_lists.read(write(tmp_path / "walk_alphapose.json", entries)))
    assert (video.name, video.layout.name) == ("walk", name)
    assert [len(video.frames[frame]) for frame in range(3)] == [2, 0, 1]
    assert video.frames[2].keypoints[0] == pytest.approx(people[2, :, :2], rel=1e-6)
    assert video.frames[0].scores.tolist() == [1, 1], "AlphaPose's scores exceed 1"


def test_coco_results(tmp_path):
    entries = [{"image_id": 7, "category_id": 1, "keypoints": points(17).ravel().tolist(), "score": 0.6}]
    video = only(result_lists.read(write(tmp_path / "clip.json", entries)))
    assert video.frames[7].scores.tolist() == [pytest.approx(0.6)]
    with pytest.raises(UserError, match="must have image_id and keypoints"):
        only(result_lists.read(write(tmp_path / "clip.json", [{"keypoints": []}])))


def test_a_frame_number_that_would_fill_the_memory_is_one_line(tmp_path):
    entries = [{"image_id": "999999999999.jpg", "keypoints": points(17).ravel().tolist(), "score": 1.0}]
    with pytest.raises(UserError, match=r"speaks of frame 999,999,999,999 and only of 1 frames in all"):
        only(result_lists.read(write(tmp_path / "a.json", entries)))


def test_a_million_frames_of_nobody_take_no_time(tmp_path):
    person = {"keypoints": points(17).ravel().tolist(), "score": 1.0}
    file = write(tmp_path / "a.json", [{"image_id": f"{n}.jpg", **person} for n in (0, 1, 2, 3, 999_999)])
    linked = Mock(wraps=source.track_people)
    with patch.object(source, "track_people", linked):
        list(AlphaPose(AlphaPose.Config(files=file, width=640, height=480, fps=30, check=False)).tracks())
    assert len(linked.call_args.args[0]) < 100


def test_more_people_than_a_picture_shows_are_one_line(tmp_path):
    person = {"image_id": "0.jpg", "keypoints": points(17).ravel().tolist(), "score": 1.0}
    file = write(tmp_path / "a.json", [person] * 1001)
    with pytest.raises(UserError, match=r"a.json: a frame shows 1,001 people; at most 1,000"):
        list(AlphaPose(AlphaPose.Config(files=file, width=640, height=480, fps=30)).tracks())


@pytest.mark.parametrize("frame", [-3, 10**12, "x", [1]])
def test_what_a_reader_stumbles_over_is_one_line(frame, tmp_path):
    instance = {"keypoints": points(17)[0, :, :2].tolist(), "keypoint_scores": [0.9] * 17}
    file = write(tmp_path / "a.json", [{"frame_id": frame, "instances": [instance]}])
    with pytest.raises(UserError, match=r"a.json: (speaks of frame|is not of this format)"):
        list(MMPose(MMPose.Config(files=file, width=640, height=480, fps=30)).tracks())


@pytest.mark.parametrize("form", ["instance_info", "list", "transformers"])
def test_mmpose_and_transformers(form, tmp_path):
    people = points(17, 2)
    instances = [
        {"keypoints": person[:, :2].tolist(), "keypoint_scores": person[:, 2].tolist(), "bbox_score": 0.7}
        for person in people
    ]
    frames = [{"frame_id": 0, "instances": instances}, {"frame_id": 1, "instances": []}]
    if form == "transformers":
        frames = [[{"keypoints": one["keypoints"], "scores": one["keypoint_scores"]} for one in instances], []]
    document = {"meta_info": {}, "instance_info": frames} if form == "instance_info" else frames
    video = only(instance_lists.read(write(tmp_path / "walk_results.json", document)))
    assert (video.name, video.layout.name) == ("walk", "coco17")
    assert [len(video.frames[frame]) for frame in range(2)] == [2, 0]
    assert video.frames[0].keypoints == pytest.approx(people[..., :2], rel=1e-6)
    assert video.frames[0].keypoint_scores == pytest.approx(people[..., 2], rel=1e-6)


@pytest.mark.parametrize("form", ["objects", "rows", "held", "several"])
def test_mediapipe(form, tmp_path):
    people = points(33) / [500, 500, 1]
    person = [{"x": x, "y": y, "z": 0.1, "visibility": score} for x, y, score in people[0].tolist()]
    if form == "rows":
        person = [[x, y, 0.1, score] for x, y, score in people[0].tolist()]
    frame = {"held": {"pose_landmarks": person}, "several": [person]}.get(form, person)
    video = only(landmarks.read(write(tmp_path / "walk.json", [frame, None, []])))
    assert (video.layout.name, video.shares) == ("blazepose33", True)
    assert [len(video.frames[number]) for number in range(3)] == [1, 0, 0]
    assert video.frames[0].keypoints == pytest.approx(people[..., :2], rel=1e-5)
    assert video.frames[0].keypoint_scores == pytest.approx(people[..., 2], rel=1e-5)


def test_real_landmarks_by_name(shared_data):
    video = only(landmarks.read(str(shared_data / "videos" / "tfjs_pose_1.json")))
    assert (video.layout.name, video.shares, len(video.frames)) == ("coco17", False, 120)
    assert video.frames[0].keypoints[0, 0] == pytest.approx([287.77, 203.77], abs=0.01)


@pytest.mark.parametrize("individuals", [[""], ["anna", "ben"]])
def test_deeplabcut(individuals, tmp_path):
    text, values = deeplabcut_csv(individuals)
    (tmp_path / "walkDLC_resnet50.csv").write_text(text)
    video = only(deeplabcut.read(f"{tmp_path}/walkDLC_resnet50.csv", {"hipL": "left_hip", "hipR": "right_hip"}))
    assert video.name == "walk"
    assert len(video.frames[0]) == len(individuals)
    knee = video.layout.index("left_knee")
    assert video.frames[2].keypoints[0, knee] == pytest.approx(values[2, 0, 3, :2], rel=1e-6)
    assert video.note is not None
    assert video.note.endswith("left out: tail")


@pytest.mark.parametrize("sign", [1, -1])
def test_trc_of_pixels(sign, tmp_path):
    text, places = trc_text("px", sign)
    (tmp_path / "walk_Sports2D_px_person00.trc").write_text(text)
    video = only(trc.read(f"{tmp_path}/walk_Sports2D_px_person00.trc", {}))
    assert (video.name, video.fps) == ("walk", 30)
    assert video.frames[1].keypoints[0, video.layout.index("left_knee")] == pytest.approx(places[1, 3, :2], rel=1e-6)


def test_trc_of_metres_is_refused(tmp_path):
    (tmp_path / "walk.trc").write_text(trc_text("m")[0])
    with pytest.raises(UserError, match="Units=m: holds places in space, not in the picture"):
        only(trc.read(f"{tmp_path}/walk.trc", {}))


@pytest.mark.parametrize("people", [None, 2])
def test_arrays(people, tmp_path):
    shape = (5, 12, 3) if people is None else (people, 5, 12, 3)
    keypoints = RNG.uniform(50, 400, shape)
    keypoints[..., 2] = 0.8
    np.savez(tmp_path / "walk.npz", keypoints=keypoints, joints=list(layout("limbs12").joints))
    video = only(arrays.read(f"{tmp_path}/walk.npz", {}))
    assert (video.layout.name, len(video.frames), video.note) == ("limbs12", 5, None)
    assert len(video.frames[3]) == (people or 1)
    np.savez(tmp_path / "walk.npz", keypoints=keypoints)
    with pytest.raises(UserError, match=r"has neither joints \(their names\) nor layout"):
        only(arrays.read(f"{tmp_path}/walk.npz", {}))


def test_sleap(tmp_path):
    nodes = [b"nose", b"hip_l", b"hip_r", b"knee_l", b"knee_r"]
    tracks = RNG.uniform(50, 400, (2, 2, len(nodes), 4))
    with h5py.File(tmp_path / "walk.h5", "w") as file:
        file["tracks"], file["node_names"] = tracks, nodes
    video = only(sleap.read(f"{tmp_path}/walk.h5", {}))
    assert len(video.frames[0]) == 2
    assert video.frames[1].keypoints[0, video.layout.index("left_knee")] == pytest.approx(tracks[0, :, 3, 1], rel=1e-6)


@pytest.mark.parametrize("kind", ["link", "external", "virtual", "huge"])
def test_a_sleap_file_opens_no_other_file_and_fills_no_memory(kind, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["tracks"] = RNG.uniform(50, 400, (1, 2, 5, 4))
    with h5py.File(tmp_path / "walk.h5", "w") as file:
        file["node_names"] = [b"nose", b"hip_l", b"hip_r", b"knee_l", b"knee_r"]
        if kind == "link":
            file["tracks"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/tracks")
        elif kind == "external":
            file.create_dataset("tracks", (1, 2, 5, 4), "f8", external=[(str(tmp_path / "secret.h5"), 0, 320)])
        elif kind == "virtual":
            view = h5py.VirtualLayout((1, 2, 5, 4), "f8")
            view[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "tracks", (1, 2, 5, 4))
            file.create_virtual_dataset("tracks", view)
        else:
            file.create_dataset("tracks", (1000, 2, 5, 10**6), "f8", chunks=True, compression="gzip")
    with pytest.raises(UserError, match=r"tracks (is a link|is kept in other files|has .* bytes)"):
        only(sleap.read(f"{tmp_path}/walk.h5", {}))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("LHip", "left_hip"), ("left hip", "left_hip"), ("hip_l", "left_hip"), ("Hip.R", "right_hip"), ("nose", "nose"),
        ("RBigToe", "right_big_toe"), ("left_shoulder", "left_shoulder"), ("Neck", "mid_shoulder"),
        ("right-ankle", "right_ankle"), ("l_wrist", "left_wrist"), ("LEFT_EYE", "left_eye"), ("tail", "tail"),
    ],
)  # fmt: skip
def test_joint_names_as_people_write_them(text, name):
    assert joint_name(text) == name


def test_joints_of_no_body_are_refused():
    with pytest.raises(UserError, match="its joints are snout, tail, of which no layout has 4"):
        layout_by_names(["snout", "tail"], "a.csv")
