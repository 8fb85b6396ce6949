"""Calibrations as OpenCV writes them (FileStorage: YAML or JSON), and EasyMocap's pair of such files.

A document is one camera, or a table or list of cameras. It accepts the keys that are in use: camera_matrix, K, …
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from pipelines.calibration.camera import Camera
from pipelines.calibration.values import camera_of, few, is_fisheye
from schemas.errors import UserError
from schemas.plain_yaml import PlainLoader

_MATRIX = ("camera_matrix", "intrinsic_matrix", "cameraMatrix", "K", "mtx", "matrix")
_DISTORTION = ("distortion_coefficients", "distCoeffs", "dist_coeffs", "distCoef", "dist", "D", "distortions")
_ROTATION = ("R", "rotation", "rvec", "rotation_matrix", "rotation_vector")
_TRANSLATION = ("t", "T", "translation", "tvec", "translation_vector")
_SIZE = ("image_size", "imgSize", "resolution", "size")
# Keys that may name the lens model; ROS, Kalibr, EasyMocap and others each use one of them. The model must be named,
# because four coefficients may belong to either model.
_MODEL = ("distortion_model", "camera_model", "lens_model", "model", "fisheye", "is_fisheye", "fisheye_model")
_WIDTH, _HEIGHT = ("image_width", "width"), ("image_height", "height")


class _Loader(PlainLoader):
    """Plain YAML with matrices of OpenCV as lists of numbers."""


def _matrix(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    if not isinstance(node, yaml.MappingNode):
        raise yaml.YAMLError("a matrix has rows, cols and data")
    return loader.construct_mapping(node, deep=True).get("data")


for _kind in ("matrix", "nd-matrix"):
    _Loader.add_constructor(f"tag:yaml.org,2002:opencv-{_kind}", _matrix)


def parse(content: bytes, suffix: str) -> Any:
    """The value of a YAML or JSON document.

    Raises:
        UserError: The document is not valid YAML or JSON.
    """
    try:
        text = content.decode("utf-8-sig")
        if suffix == ".json":
            return json.loads(text)
        # OpenCV's first line, %YAML:1.0, is not valid YAML: it has a colon where a space belongs.
        loader = _Loader(re.sub(r"\A%YAML[^\n]*\n(---[^\n]*\n)?", "", text))
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"is not {suffix[1:].upper()}: {' '.join(str(error).split())}") from error


def read(document: Any, name: str) -> list[Camera]:
    """The cameras of a document.

    Args:
        document: Its value.
        name: What to call its camera if it is of one and does not say.

    Raises:
        UserError: The document holds no cameras, or an incomplete one.
    """
    return few(_camera(called, values) for called, values in _cameras(document, name))


def _cameras(document: Any, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(document, list):
        for number, one in enumerate(document):
            yield from _cameras(one, f"{number}")
    elif isinstance(document, dict) and _first(document, _MATRIX) is not None:
        yield str(document.get("name") or document.get("camera_name") or name), document
    elif isinstance(document, dict):
        for key, one in document.items():
            yield from _cameras(one, str(key))


def _camera(name: str, values: Mapping[str, Any]) -> Camera:
    matrix, rotation = _first(values, _MATRIX), _first(values, _ROTATION)
    translation, size = _first(values, _TRANSLATION), _first(values, _SIZE)
    width, height = _first(values, _WIDTH), _first(values, _HEIGHT)
    size = size if width is None or height is None else (width, height)
    lens = _data(_first(values, _DISTORTION)), _data(rotation), _data(translation), size
    return camera_of(name, _data(matrix), *lens, fisheye=_is_fisheye(name, values))


def _is_fisheye(name: str, values: Mapping[str, Any]) -> bool:
    """Whether any key names a fisheye model; Kalibr's camera_model is "pinhole" even for a fisheye lens."""
    fisheye_flags = [is_fisheye(name, values[key]) for key in _MODEL if values.get(key) is not None]
    return any(fisheye_flags)


def _first(values: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next((values[key] for key in keys if values.get(key) is not None), None)


def _data(value: Any) -> Any:
    """The numbers of a matrix, which ROS and JSON write as {rows, cols, data}."""
    return value.get("data") if isinstance(value, dict) else value


def read_easymocap(intrinsics: Any, extrinsics: Any) -> list[Camera]:
    """The cameras of EasyMocap's intri.yml and extri.yml.

    Raises:
        UserError: The files are not of this format.
    """
    try:
        return few(_easymocap(str(name), intrinsics, extrinsics) for name in intrinsics["names"])
    except (KeyError, TypeError) as error:
        raise UserError(f"is not EasyMocap's: lacks {error}") from error


def _easymocap(name: str, intrinsics: Mapping[str, Any], extrinsics: Mapping[str, Any]) -> Camera:
    turn = extrinsics.get(f"Rot_{name}")
    size = (intrinsics.get(f"W_{name}"), intrinsics.get(f"H_{name}"))
    return camera_of(
        name,
        intrinsics[f"K_{name}"],
        intrinsics.get(f"dist_{name}", intrinsics.get(f"D_{name}")),
        extrinsics[f"R_{name}"] if turn is None else turn,
        extrinsics[f"T_{name}"],
        None if None in size else size,  # type: ignore[arg-type]
    )
