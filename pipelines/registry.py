"""Plug-ins: a table from name to "module:Class", and any `package.module:Class` beside it.

No import side effects and no entry points: a Ray worker that has only the working directory finds them all.
"""

import difflib
import importlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
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
ALIGNERS: Mapping[str, str] = MappingProxyType({"dilated_conv": "pipelines.aligners.dilated_conv:DilatedConv"})
POSE_SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "human36m": "pipelines.datasets.human36m:Human36M",
        "humaneva15": "pipelines.datasets.humaneva:HumanEva15",
        "mpi_inf_3dhp": "pipelines.datasets.mpi_inf_3dhp:MpiInf3dhp",
        "mocap17": "pipelines.datasets.mocap17:Mocap17",
        "postures": "pipelines.datasets.postures:Postures",
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
# Importing these plug-ins loads torch, but --help and every check of a command line need only their options. So their
# options are classes in modules without torch. Other plug-ins are asked for their `Config`.
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
        "pipelines.aligners.dilated_conv:DilatedConv": "pipelines.aligners.dilated_conv_options:DilatedConvConfig",
        "pipelines.lifters.supermask:Supermask": "pipelines.lifters.supermask_options:SupermaskConfig",
    }
)

# The name of a plug-in that is in no table: package.module:Class.
_CLASS = re.compile(r"[\w.]+:[\w.]+")


def load(table: Mapping[str, str], name: str) -> Any:
    """Import the class that `name` stands for in `table`, or the one at `package.module:Class`.

    Raises:
        UserError: No such name, module or class.
    """
    return _import(_target(table, name))


def load_network(table: Mapping[str, str], field: str, name: str, protocol: str) -> Any:
    """The class of a network that a config or a checkpoint names.

    Args:
        table: Its plug-in table.
        field: The field that names it, such as "lifter".
        name: What it is called there.
        protocol: The module that says what it has to have.

    Raises:
        UserError: There is no such class, or it is not a `torch.nn.Module` with a `Config`.
    """
    from torch import nn  # here: most users of the tables need no PyTorch

    plugin = load(table, name)
    # The name may come from a checkpoint of unknown origin, which must not be able to call any function.
    if not (isinstance(plugin, type) and issubclass(plugin, nn.Module) and hasattr(plugin, "Config")):
        raise UserError(f"{field}.name={name}: must be a torch.nn.Module with a Config; see {protocol}")
    return plugin


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


def require_trusted(
    uri: str, what: str, table: Mapping[str, str], name: str, options: Mapping[str, Any], trust: str | None
) -> None:
    """Refuse a file that names a class outside of this package: importing a module runs its code.

    Args:
        uri: The file, which may come from anywhere.
        what: What it holds, such as "lifter".
        table: The plug-in table.
        name: The plug-in that it names.
        options: Its options, which may name plug-ins within it, at any depth.
        trust: The class that it may name.

    Raises:
        UserError: The file names a class that is not trusted.
    """
    for named in _classes_named(table, name, options):
        if named != trust:
            raise UserError(
                f"{uri}: names the {what} {named}, whose code would be run; if you know that code, give trust={named}"
            )


def _classes_named(table: Mapping[str, str], name: str, options: Mapping[str, Any]) -> Iterator[str]:
    if name not in table:
        yield name
    values: list[Any] = [options]
    while values:
        value = values.pop()
        if isinstance(value, Mapping):
            values.extend(value.values())
        elif isinstance(value, list | tuple):
            values.extend(value)
        elif isinstance(value, str) and _CLASS.fullmatch(value):
            yield value


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
