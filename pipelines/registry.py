"""Plug-ins: a table from name to "module:Class", and any `package.module:Class` beside it.

No import side effects and no entry points: a Ray worker that has only the working directory finds them all.
"""

import difflib
import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from schemas.errors import UserError

DETECTORS: Mapping[str, str] = MappingProxyType({"blazepose": "pipelines.detectors.blazepose.detector:BlazePose"})


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
