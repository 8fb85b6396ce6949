"""Two cameras that look at one scene, and the same as files of other programs."""

from typing import Any

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from pipelines.calibration.camera import Camera
from schemas.cameras import Intrinsics


def camera(name: str, azimuth_deg: float, away_m: float = 4.0, **changes: Any) -> Camera:
    """A camera 1.5 m up that looks at the middle of a world with z up."""
    angle = np.radians(azimuth_deg)
    centre = np.array([away_m * np.cos(angle), away_m * np.sin(angle), 1.5])
    forward = np.array([0, 0, 1.0]) - centre
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    lens: dict[str, Any] = {
        "fx": 900.0,
        "fy": 910.0,
        "cx": 630.0,
        "cy": 355.0,
        "k1": -0.12,
        "k2": 0.05,
        "p1": 0.001,
        "p2": -0.002,
    }
    intrinsics = Intrinsics(**(lens | {"k3": 0.0, "distortion": "opencv"} | changes))
    return Camera(name, 1280, 720, intrinsics, rotation, -rotation @ centre)


RIG = [camera("cam01", 10), camera("cam02", 100)]


def matrix(one: Camera) -> np.ndarray:
    i = one.intrinsics
    return np.array([[i.fx, 0, i.cx], [0, i.fy, i.cy], [0, 0, 1.0]])


def distortion(one: Camera) -> np.ndarray:
    i = one.intrinsics
    fisheye = [i.k1, i.k2, i.k3, i.k4]
    return np.array(fisheye if i.distortion == "fisheye" else [i.k1, i.k2, i.p1, i.p2, i.k3])


def rodrigues(one: Camera) -> np.ndarray:
    return Rotation.from_matrix(one.rotation).as_rotvec()


def opencv_pixels(one: Camera, points: np.ndarray) -> np.ndarray:
    """Where OpenCV sees world points."""
    pixels, _ = cv2.projectPoints(points, rodrigues(one), one.translation, matrix(one), distortion(one))
    return pixels[:, 0]


def toml(rig: list[Camera], unit: float = 1.0) -> str:
    lines = []
    for one in rig:
        values = {
            "size": [one.width, one.height],
            "matrix": matrix(one).tolist(),
            "distortions": distortion(one).tolist(),
            "rotation": rodrigues(one).tolist(),
            "translation": (one.translation * unit).tolist(),
        }
        lines += [f"[{one.name}]", f'name = "{one.name}"', *(f"{key} = {value}" for key, value in values.items())]
        lines += ["fisheye = false", ""]
    return "\n".join([*lines, "[metadata]", "adjusted = false", "error = 0.0", ""])


def caliscope(rig: list[Camera]) -> str:
    lines = []
    for number, one in enumerate(rig):
        lines += [f"[cameras.{number}]", f"cam_id = {number}", "rotation_count = 0", "error = 0.3", "fisheye = false"]
        lines += [f"size = [{one.width}, {one.height}]", f"matrix = {matrix(one).tolist()}"]
        lines += [f"distortions = {distortion(one).tolist()}", f"translation = {one.translation.tolist()}"]
        lines += [f"rotation = {rodrigues(one).tolist()}", ""]
    return "\n".join(lines)


def qualisys(rig: list[Camera]) -> str:
    cameras = []
    for one in rig:
        axes = np.diag([1, -1, -1]) @ one.rotation
        turn = " ".join(f'r{row + 1}{column + 1}="{axes[row, column]}"' for row in range(3) for column in range(3))
        x, y, z = 1000 * one.centre
        i = one.intrinsics
        cameras.append(
            f'<camera active="1" serial="{one.name}" viewrotation="0">'
            f'<fov_video left="0" right="{(one.width or 0) - 1}" top="0" bottom="{(one.height or 0) - 1}"/>'
            f'<transform {turn} x="{x}" y="{y}" z="{z}"/>'
            f'<intrinsic focalLengthU="{64 * i.fx}" focalLengthV="{64 * i.fy}" centerPointU="{64 * i.cx}" '
            f'centerPointV="{64 * i.cy}" radialDistortion1="{i.k1}" radialDistortion2="{i.k2}" '
            f'radialDistortion3="{i.k3}" tangentalDistortion1="{i.p1}" tangentalDistortion2="{i.p2}"/></camera>'
        )
    return f"<?xml version='1.0'?><calibration><cameras>{''.join(cameras)}</cameras></calibration>"


def vicon(rig: list[Camera], radial: str) -> str:
    cameras = []
    for one in rig:
        i, quaternion = one.intrinsics, Rotation.from_matrix(one.rotation).as_quat()
        cameras.append(
            f'<Camera DEVICEID="21" LABEL="{one.name}" SENSOR_SIZE="{one.width} {one.height}" '
            f'PIXEL_ASPECT_RATIO="{i.fx / i.fy}"><KeyFrames><KeyFrame FOCAL_LENGTH="{i.fx}" '
            f'PRINCIPAL_POINT="{i.cx} {i.cy}" ORIENTATION="{" ".join(map(str, quaternion))}" '
            f'POSITION="{" ".join(map(str, 1000 * one.centre))}" {radial}/></KeyFrames></Camera>'
        )
    return f"<Cameras>{''.join(cameras)}</Cameras>"


def colmap(rig: list[Camera]) -> tuple[str, str]:
    cameras, images = ["# Camera list"], ["# Image list with two lines of data per image:"]
    for number, one in enumerate(rig, start=1):
        i = one.intrinsics
        fisheye = i.distortion == "fisheye"
        cameras.append(
            f"{number} {'OPENCV_FISHEYE' if fisheye else 'OPENCV'} {one.width} {one.height} "
            f"{i.fx} {i.fy} {i.cx} {i.cy} {' '.join(map(str, distortion(one)[:4]))}"
        )
        x, y, z, w = Rotation.from_matrix(one.rotation).as_quat()
        place = " ".join(map(str, one.translation))
        images += [
            f"{number} {w} {x} {y} {z} {place} {number} views/{one.name}.png",
            "1.5 2.5 -1 3.0 4.0 7 8.0 9.0 -1 5 6 -1",
        ]
    return "\n".join(cameras), "\n".join(images)
