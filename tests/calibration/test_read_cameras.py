"""Calibrations of every format that is known give cameras that see points where OpenCV sees them."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from calibration import rigs

from pipelines.calibration.camera import Camera
from pipelines.calibration.read import read_cameras, read_lenses
from schemas.errors import UserError

POINTS = np.random.default_rng(3).uniform([-0.6, -0.6, 0.2], [0.6, 0.6, 1.8], (50, 3))


def require_same(cameras: list[Camera], rig: list[Camera] = rigs.RIG, within_px: float = 0.01) -> None:
    for camera, original in zip(cameras, rig, strict=True):
        assert np.linalg.norm(camera.project(POINTS) - rigs.opencv_pixels(original, POINTS), axis=-1).max() < within_px
        assert camera.centre == pytest.approx(original.centre, abs=1e-5), "metres"


def write(folder: Path, name: str, content: str) -> str:
    (folder / name).write_text(content)
    return str(folder / name)


def test_a_pixel_and_its_ray_belong_together():
    camera = rigs.RIG[0]
    inside = camera.to_camera(POINTS)
    assert camera.rays(camera.project(POINTS)) == pytest.approx(inside[:, :2] / inside[:, 2:], abs=1e-4)


@pytest.mark.parametrize("unit", [1.0, 1000.0])
def test_pose2sim_and_anipose_toml_in_metres_or_millimetres(tmp_path, unit):
    cameras = read_cameras(write(tmp_path, "Calib.toml", rigs.toml(rigs.RIG, unit)))
    require_same(cameras)
    assert [(camera.name, camera.width, camera.height) for camera in cameras] == [
        ("cam01", 1280, 720),
        ("cam02", 1280, 720),
    ]


def test_a_unit_can_be_stated(tmp_path):
    require_same(read_cameras(write(tmp_path, "Calib.toml", rigs.toml(rigs.RIG, 100.0)), unit_m=0.01))


def test_caliscope_toml(tmp_path):
    cameras = read_cameras(write(tmp_path, "camera_array.toml", rigs.caliscope(rigs.RIG)))
    require_same(cameras)
    assert [camera.name for camera in cameras] == ["0", "1"]


def test_qualisys(tmp_path):
    require_same(read_cameras(write(tmp_path, "Calib.qca.txt", rigs.qualisys(rigs.RIG))))


def test_the_real_qualisys_file(shared_data):
    cameras = read_cameras(str(shared_data / "videos" / "multiview" / "calibration.qca.txt"))
    assert [(camera.name, camera.width, camera.height) for camera in cameras] == [
        (f"cam0{number}", 1088, 1920) for number in range(1, 5)
    ]
    assert cameras[0].centre == pytest.approx([1.460, -1.909, 1.897], abs=0.001)


def test_vicon_undistorts_by_its_own_polynomial(tmp_path):
    rig = [rigs.camera(name, at, k1=0, k2=0, p1=0, p2=0, distortion="none") for name, at in (("a", 10), ("b", 90))]
    radial = 'VICON_RADIAL2="ViconRadial2 0 0 4e-8 -1e-14 0"'
    for camera, pinhole in zip(read_cameras(write(tmp_path, "rig.xcp", rigs.vicon(rig, radial))), rig, strict=True):
        offset = camera.project(POINTS) - (pinhole.intrinsics.cx, pinhole.intrinsics.cy)
        r2 = (offset**2).sum(-1, keepdims=True)
        undistorted = offset * (1 + 4e-8 * r2 - 1e-14 * r2**2) + (pinhole.intrinsics.cx, pinhole.intrinsics.cy)
        assert np.linalg.norm(undistorted - pinhole.project(POINTS), axis=-1).max() < 0.1
        assert camera.centre == pytest.approx(pinhole.centre, abs=1e-5)


def test_opencv_yaml_as_opencv_writes_it(tmp_path):
    for one in rigs.RIG:
        file = cv2.FileStorage(str(tmp_path / f"{one.name}.yml"), cv2.FileStorage_WRITE)
        file.write("image_width", one.width or 0)
        file.write("image_height", one.height or 0)
        file.write("camera_matrix", rigs.matrix(one))
        file.write("distortion_coefficients", rigs.distortion(one))
        file.write("R", one.rotation)
        file.write("T", one.translation)
        file.release()
    cameras = read_cameras(str(tmp_path))
    require_same(cameras)
    assert [camera.name for camera in cameras] == ["cam01", "cam02"]


def test_opencv_json_of_several_cameras(tmp_path):
    document = {
        one.name: {
            "K": rigs.matrix(one).tolist(),
            "dist": rigs.distortion(one).tolist(),
            "R": one.rotation.tolist(),
            "t": one.translation.tolist(),
            "imgSize": [one.width, one.height],
        }
        for one in rigs.RIG
    }
    require_same(read_cameras(write(tmp_path, "rig.json", json.dumps(document))))


def test_easymocap(tmp_path):
    for name in ("intri", "extri"):
        file = cv2.FileStorage(str(tmp_path / f"{name}.yml"), cv2.FileStorage_WRITE)
        file.startWriteStruct("names", cv2.FileNode_SEQ)
        for one in rigs.RIG:
            file.write("", one.name)
        file.endWriteStruct()
        for one in rigs.RIG:
            if name == "intri":
                file.write(f"K_{one.name}", rigs.matrix(one))
                file.write(f"dist_{one.name}", rigs.distortion(one)[:, None])
            else:
                file.write(f"R_{one.name}", rigs.rodrigues(one)[:, None])
                file.write(f"Rot_{one.name}", one.rotation)
                file.write(f"T_{one.name}", one.translation[:, None])
        file.release()
    cameras = read_cameras(str(tmp_path))
    require_same(cameras)
    assert cameras[0].width is None, "the format does not say"


FISHEYES = [
    rigs.camera(
        name, azimuth, fx=300.0, fy=302.0, k1=-0.03, k2=0.02, k3=-0.01, k4=0.004, p1=0, p2=0, distortion="fisheye"
    )
    for name, azimuth in (("cam01", 10), ("cam02", 100))
]


def test_fisheyes_are_seen_as_opencv_sees_them(tmp_path):
    toml = rigs.toml(FISHEYES).replace("fisheye = false", "fisheye = true")
    tables = {
        one.name: {
            **{"K": rigs.matrix(one).tolist(), "D": rigs.distortion(one).tolist(), "distortion_model": "equidistant"},
            **{"R": one.rotation.tolist(), "t": one.translation.tolist(), "image_size": [one.width, one.height]},
        }
        for one in FISHEYES
    }
    files = (("Calib.toml", toml), ("rig.json", json.dumps(tables)))
    read_rigs = [read_cameras(write(tmp_path, name, content)) for name, content in files]
    cameras, images = rigs.colmap(FISHEYES)
    write(tmp_path, "cameras.txt", cameras)
    write(tmp_path, "images.txt", images)
    read_rigs.append(read_cameras(str(tmp_path), unit_m=1.0))
    for read in read_rigs:
        for one, other in zip(read, FISHEYES, strict=True):
            i = other.intrinsics
            assert one.intrinsics == i
            in_camera = POINTS @ other.rotation.T + other.translation
            expected, _ = cv2.fisheye.projectPoints(
                in_camera[:, None], np.zeros(3), np.zeros(3), rigs.matrix(other), np.array([i.k1, i.k2, i.k3, i.k4])
            )
            assert one.project(POINTS) == pytest.approx(expected[:, 0], abs=1e-3)
            rays = np.concatenate([one.rays(expected[:, 0]), np.ones((len(POINTS), 1))], axis=1)
            assert rays == pytest.approx(in_camera / in_camera[:, 2:], abs=1e-3)


def test_colmap_whose_unit_must_be_stated(tmp_path):
    cameras, images = rigs.colmap(rigs.RIG)
    write(tmp_path, "cameras.txt", cameras)
    write(tmp_path, "images.txt", images)
    with pytest.raises(UserError, match="the unit of COLMAP is arbitrary"):
        read_cameras(str(tmp_path))
    rig = read_cameras(str(tmp_path), unit_m=1.0)
    require_same(rig)
    assert [camera.name for camera in rig] == ["cam01", "cam02"]


FIVE = [rigs.camera(name, azimuth, k3=0.01) for name, azimuth in (("cam01", 10), ("cam02", 100))]
BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bb">]><calibration>&b;</calibration>'


def one_camera(matrix=((800, 0, 320), (0, 800, 240), (0, 0, 1)), dist=(), turn=(0, 0, 0), size=(640, 480)):
    return json.dumps({"a": {"K": matrix, "dist": dist, "R": turn, "t": [0, 0, 2], "image_size": size}})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "Calib.toml",
            rigs.toml(FIVE).replace("fisheye = false", "fisheye = true"),
            "cam01: has 5 distortion coef",
        ),
        (
            "rig.json",
            '{"a": {"K": [1, 0, 0, 0, 1, 0, 0, 0, 1], "R": [0, 0, 0], "t": [0, 0, 0], "model": "omni"}}',
            "omni",
        ),
        ("Calib.toml", rigs.toml(rigs.RIG[:1]), "holds 1 cameras; positions need two"),
        ("Calib.toml", rigs.toml([rigs.RIG[0], rigs.RIG[0]]).replace("[cam01]", "[x]", 1), "have the same name"),
        ("Calib.toml", "a = [", "is not TOML"),
        ("Calib.toml", rigs.toml(rigs.RIG).replace("rotation =", "turn ="), "cam01, cam02: has no rotation"),
        ("Calib.qca.txt", BOMB, "has a document type"),
        ("Calib.qca.txt", rigs.qualisys(rigs.RIG).replace('viewrotation="0"', 'viewrotation="90"'), "viewrotation=90"),
        ("rig.yml", "a: &x [1]\nb: *x\n", "aliases"),
        ("rig.yml", "K: !!opencv-matrix [1]", "a matrix has rows, cols and data"),
        ("rig.yml", "a: 1" + ":59" * 90_000, "is read as a number to the base 60"),
        ("rig.toml", ".".join(["a"] * 100_000) + " = 1", "more than 100 dots in a line"),
        ("rig.json", "{", "is not JSON"),
        (
            "rig.json",
            '{"a": {"K": [[1, 2], [3, 4]], "R": [0, 0, 0], "t": [0, 0, 0]}}',
            "a: the camera matrix holds 4 numbers, not 3 × 3",
        ),
        ("rig.json", one_camera(matrix=[[800, 5, 320], [0, 800, 240], [0, 0, 1]]), "has a skew of 5"),
        ("rig.json", one_camera(matrix=[[800, 0, 0], [0, 800, 0], [320, 240, 1]]), "is transposed, as MATLAB"),
        ("rig.json", one_camera(matrix=[[800, 0, 320], [0, 800, 240], [0, 0, 2]]), "is not .fx, 0, cx., "),
        ("rig.json", one_camera(matrix=[[1.2, 0, 0.5], [0, 1.6, 0.5], [0, 0, 1]]), "1.2 and 1.6 are shares"),
        ("rig.json", one_camera(matrix=[["f", 0, 0.5], [0, 1.6, 0.5], [0, 0, 1]]), "matrix holds what is no number"),
        ("rig.json", one_camera(size=[0, 0]), "the size 0 × 0 is no picture's"),
        ("rig.json", one_camera(size=[640]), "the size holds 1 numbers, not 2"),
        ("rig.json", one_camera(turn=[0, 90, 0]), "turns by 90; give radians .at most 2π., not degrees"),
        ("rig.json", one_camera(dist=[-120, 0, 0, 0, 0]), "the distortion folds the picture 28 px from its middle"),
        ("rig.json", one_camera(dist=[0, 0, 1.5, 0, 0]), "moves the picture's edge farther than any lens"),
        ("rig.json", one_camera(matrix=[[800, 0, 320], [0, 80, 240], [0, 0, 1]]), "fx=800 and fy=80 differ more"),
        ("rig.txt", "", "is no calibration; known are Pose2Sim"),
    ],
)
def test_what_is_no_calibration_is_one_line(tmp_path, name, content, message):
    file = write(tmp_path, name, content)
    with pytest.raises(UserError, match=message) as caught:
        read_cameras(file)
    assert str(caught.value).startswith(f"calibration={file}: ")
    assert "\n" not in str(caught.value)


def test_a_camera_of_pictures_of_another_shape_is_one_line():
    half = rigs.RIG[0].of_video(640, 360, "clip.mp4")
    assert half.project(POINTS) == pytest.approx(rigs.RIG[0].project(POINTS) / 2)
    with pytest.raises(UserError, match="is 720 × 1280, but its camera cam01 was calibrated at 1280 × 720"):
        rigs.RIG[0].of_video(720, 1280, "clip.mp4")


def test_lenses_are_read_without_places_and_alone(tmp_path):
    (camera,) = read_lenses(write(tmp_path, "phone.json", '{"K": [[800, 0, 320], [0, 800, 240], [0, 0, 1]]}'))
    assert (camera.name, camera.is_placed, camera.intrinsics.fx) == ("phone", False, 800)
    with pytest.raises(UserError, match="holds no cameras"):
        read_lenses(write(tmp_path, "none.json", "{}"))


@pytest.mark.parametrize("kind", ["json", "toml", "xcp", "qca.txt", "colmap"])
def test_more_cameras_than_anybody_has_are_one_line(tmp_path, kind):
    many = [replace(rigs.RIG[0], name=f"c{number}") for number in range(1001)]
    if kind == "colmap":
        for name, text in zip(("cameras.txt", "images.txt"), rigs.colmap(many), strict=True):
            write(tmp_path, name, text)
        file = str(tmp_path)
    elif kind == "json":
        file = write(tmp_path, "rig.json", json.dumps({one.name: {"K": rigs.matrix(one).tolist()} for one in many}))
    else:
        texts = {"toml": rigs.toml, "xcp": lambda rig: rigs.vicon(rig, ""), "qca.txt": rigs.qualisys}
        file = write(tmp_path, f"rig.{kind}", texts[kind](many))
    with pytest.raises(UserError, match="holds more than 1,000 cameras"):
        read_cameras(file)
