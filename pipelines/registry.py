"""Plug-ins: a table from name to "module:Class", and any `package.module:Class` beside it.

No import side effects and no entry points: a Ray worker that has only the working directory finds them all.
"""

import difflib
import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from schemas.errors import UserError

DETECTORS: Mapping[str, str] = MappingProxyType(
    {
        "blazepose": "pipelines.detectors.blazepose.detector:BlazePose",
        "hrnet": "pipelines.detectors.hrnet.detector:Hrnet",
        "vitpose": "pipelines.detectors.vitpose.detector:Vitpose",
        "movenet": "pipelines.detectors.movenet.detector:MoveNet",
        "keypoint_rcnn": "pipelines.detectors.keypoint_rcnn:KeypointRcnn",
    }
)
PERSONS: Mapping[str, str] = MappingProxyType(
    {
        "detr": "pipelines.detectors.persons.detr:DetrPersons",
        "whole_frame": "pipelines.detectors.persons.whole_frame:WholeFrame",
    }
)
LIFTERS: Mapping[str, str] = MappingProxyType({"temporal_conv": "pipelines.lifters.temporal_conv:TemporalConv"})
POSE_SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "human36m": "pipelines.datasets.human36m:Human36M",
        "humaneva15": "pipelines.datasets.humaneva:HumanEva15",
        "mpi_inf_3dhp": "pipelines.datasets.mpi_inf_3dhp:MpiInf3dhp",
        "mocap17": "pipelines.datasets.mocap17:Mocap17",
        "synthetic": "pipelines.datasets.synthetic:Synthetic",
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


def load(table: Mapping[str, str], name: str) -> Any:
    """Import the class that `name` stands for in `table`, or the one at `package.module:Class`.

    Raises:
        UserError: No such name, module or class.
    """
    target = table.get(name, name)
    if ":" not in target:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        known = ", ".join(sorted(table))
        raise UserError(f"unknown plug-in {name!r}; known: {known}, or package.module:Class{hint}")
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"plug-in {target!r} cannot be imported: {error}") from error
