"""Plug-ins: a table from name to "module:Class", and any `package.module:Class` beside it.

No import side effects and no entry points: a Ray worker that has only the working directory finds them all.
"""

import difflib
import importlib
import os
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from schemas.earlier_versions import values_if_absent
from schemas.errors import UserError

DETECTORS: Mapping[str, str] = MappingProxyType(
    {
        "blazepose": "pipelines.detectors.blazepose.detector:BlazePose",
        "hrnet": "pipelines.detectors.hrnet.detector:Hrnet",
        "vitpose": "pipelines.detectors.vitpose.detector:Vitpose",
        "movenet": "pipelines.detectors.movenet.detector:MoveNet",
        "movenet_blazepose": "pipelines.detectors.movenet_blazepose:MoveNetBlazePose",
        "keypoint_rcnn": "pipelines.detectors.keypoint_rcnn:KeypointRcnn",
    }
)
PERSONS: Mapping[str, str] = MappingProxyType(
    {
        "detr": "pipelines.detectors.persons.detr:DetrPersons",
        "whole_frame": "pipelines.detectors.persons.whole_frame:WholeFrame",
    }
)
LIFTERS: Mapping[str, str] = MappingProxyType(
    {
        "temporal_conv": "pipelines.lifters.temporal_conv:TemporalConv",
        "residual_mlp": "pipelines.lifters.residual_mlp:ResidualMlp",
        "spacetime_transformer": "pipelines.lifters.spacetime_transformer:SpacetimeTransformer",
        "supermask": "pipelines.lifters.supermask:Supermask",
    }
)
POSE_SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "human36m": "pipelines.datasets.human36m:Human36M",
        "humaneva15": "pipelines.datasets.humaneva:HumanEva15",
        "mpi_inf_3dhp": "pipelines.datasets.mpi_inf_3dhp:MpiInf3dhp",
        "mocap17": "pipelines.datasets.mocap17:Mocap17",
        "synthetic": "pipelines.datasets.synthetic:Synthetic",
    }
)
KEYPOINT_SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "openpose": "pipelines.keypoint_files.formats:OpenPose",
        "alphapose": "pipelines.keypoint_files.formats:AlphaPose",
        "coco_results": "pipelines.keypoint_files.formats:AlphaPose",
        "mmpose": "pipelines.keypoint_files.formats:MMPose",
        "mediapipe": "pipelines.keypoint_files.formats:MediaPipe",
        "deeplabcut": "pipelines.keypoint_files.formats:DeepLabCut",
        "sleap": "pipelines.keypoint_files.formats:Sleap",
        "trc": "pipelines.keypoint_files.formats:Trc",
        "arrays": "pipelines.keypoint_files.formats:Arrays",
    }
)
PEOPLE_SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "coco": "pipelines.annotations.people.images:CocoPeople",
        "mpii": "pipelines.annotations.people.images:MpiiImages",
        "studio": "pipelines.annotations.people.studio:Studio",
        "tracks": "pipelines.annotations.people.tracks:Tracks",
    }
)
# Where importing a plug-in loads torch, the class of its options lies in a module that does not, because --help and
# every check of a command line need the options alone. Other plug-ins are asked for their `Config`.
OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "pipelines.detectors.movenet.detector:MoveNet": "pipelines.detectors.movenet.options:MoveNetConfig",
        "pipelines.detectors.movenet_blazepose:MoveNetBlazePose": (
            "pipelines.detectors.movenet.options:MoveNetBlazePoseConfig"
        ),
        "pipelines.lifters.temporal_conv:TemporalConv": "pipelines.lifters.temporal_conv_options:TemporalConvConfig",
        "pipelines.lifters.residual_mlp:ResidualMlp": "pipelines.lifters.residual_mlp_options:ResidualMlpConfig",
        "pipelines.lifters.spacetime_transformer:SpacetimeTransformer": (
            "pipelines.lifters.spacetime_transformer_options:SpacetimeTransformerConfig"
        ),
        "pipelines.lifters.supermask:Supermask": "pipelines.lifters.supermask_options:SupermaskConfig",
    }
)


def load(table: Mapping[str, str], name: str) -> Any:
    """Import the class that `name` stands for in `table`, or the one at `package.module:Class`.

    Raises:
        UserError: No such name, module or class.
    """
    return _import(_target(table, name))


def config_class(table: Mapping[str, str], name: str) -> Any:
    """The class of a plug-in's options.

    Raises:
        UserError: No such name, module or class.
    """
    target = _target(table, name)
    if target in OPTIONS:
        return _import(OPTIONS[target])
    options = getattr(_import(target), "Config", None)
    if options is None:
        raise UserError(
            f"plug-in {target!r} has no class Config with its options; give it one, as docs/extending.md says"
        )
    return options


def options_if_absent(table: Mapping[str, str], name: str, field: str) -> dict[str, Any]:
    """What the options of a plug-in count as in an output that does not say, by dotted path (`values_if_absent`).

    Args:
        table: The table.
        name: The plug-in.
        field: The field that names it, such as "detector".
    """
    return values_if_absent(config_class(table, name), f"{field}.")


def _target(table: Mapping[str, str], name: str) -> str:
    target = table.get(name, name)
    if ":" not in target:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        known = ", ".join(sorted(table))
        raise UserError(f"unknown plug-in {name!r}; known: {known}, or package.module:Class{hint}")
    return target


def _import(target: str) -> Any:
    """Import a class; a module that the user names may lie in the working directory, where Ray's workers look too."""
    module, _, attribute = target.partition(":")
    if not module or not attribute or module.startswith(".") or "/" in module:
        raise UserError(
            f"plug-in {target!r} is no package.module:Class; for a class Mine in det.py of the working directory give "
            "det:Mine"
        )
    if not module.startswith("pipelines.") and (here := os.getcwd()) not in sys.path:
        sys.path.append(here)
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"plug-in {target!r} cannot be imported: {error}") from error
