"""What a field that a later version added counts as in the outputs of earlier ones: what the job did then.

`values_if_absent.json` is what each field counts as. A row never changes: where a default does, the class of the field
gets a row in its `BEFORE` with the default that it began with. `python tests/io/test_values_if_absent.py` adds the rows
of new fields, after its author has seen to it that they begin with what the job did before, by their default or by
`BEFORE`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic_core import to_jsonable_python

from pipelines import registry
from pipelines.io.manifest import ExistingRun, RunManifest, Settings
from schemas.configs.export import ExportOptions
from schemas.configs.label import LabelConfig
from schemas.configs.train import TrainConfig
from schemas.configs.train_aligner import TrainAlignerConfig
from schemas.configs.train_detector import TrainDetectorConfig
from schemas.configs.triangulate import TriangulateConfig
from schemas.configs.tune import TuneConfig
from schemas.earlier_versions import values_if_absent
from schemas.errors import UserError
from schemas.job_config import JobConfig

FILE = Path(__file__).with_name("values_if_absent.json")
CONFIGS = (
    *(ExportOptions, LabelConfig, TrainAlignerConfig, TrainConfig, TrainDetectorConfig, TriangulateConfig, TuneConfig),
)
TABLES = ("ALIGNERS", "DETECTORS", "KEYPOINT_SOURCES", "LIFTERS", "PEOPLE_SOURCES", "POSE_SOURCES")


def counted() -> dict[str, Any]:
    """What every field counts as, by config or plug-in and dotted path."""
    by_config = {config.__name__: values_if_absent(config) for config in CONFIGS}
    for name in TABLES:
        table = getattr(registry, name)
        by_config |= {f"{name} {plugin}": values_if_absent(registry.config_class(table, plugin)) for plugin in table}
    return {
        f"{where} {path}": to_jsonable_python(value) for where, of in by_config.items() for path, value in of.items()
    }


def changed(rows: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """A line for each field that counts as something else than its row says."""
    return [
        f"{field} counted as {rows[field]!r} in outputs without it, now as {now[field]!r}: "
        f"give its class BEFORE = {{{field.rpartition(' ')[2].rpartition('.')[2]!r}: {rows[field]!r}}}"
        for field in rows.keys() & now.keys()
        if rows[field] != now[field]
    ]


def test_no_field_counts_as_something_else_than_when_it_was_added():
    assert changed(json.loads(FILE.read_text()), counted()) == []


def test_every_field_has_a_row():
    rows, now = json.loads(FILE.read_text()), counted()
    assert sorted(now.keys() - rows.keys()) == [], "see the head of this file"
    assert sorted(rows.keys() - now.keys()) == [], "a field that is gone needs no row"


class Loss(JobConfig):
    weight: float = 2.0
    """What a later version gave another default."""


class Example(JobConfig):
    rate: float
    """A field of the first version."""

    loss: Loss = Loss()
    """Begins as the job did before."""


class LossOfToday(JobConfig):
    BEFORE: ClassVar[Mapping[str, Any]] = {"weight": 2.0}

    weight: float = 5.0
    """Began with 2, which is what outputs without it were made with."""

    kind: str = "new"
    """Did not begin with what the job did before."""


class ExampleOfToday(JobConfig):
    BEFORE: ClassVar[Mapping[str, Any]] = {"loss.kind": "old"}

    rate: float
    """A field of the first version."""

    loss: LossOfToday = LossOfToday()
    """What was added."""

    steep: Loss = Loss(weight=7.0)
    """Begins with another value than its class."""


def test_a_default_that_changes_without_a_row_is_told():
    class Careless(JobConfig):
        weight: float = 5.0

    [line] = changed({"Loss weight": 2.0}, {f"Loss {k}": v for k, v in values_if_absent(Careless).items()})
    assert (
        line == "Loss weight counted as 2.0 in outputs without it, now as 5.0: give its class BEFORE = {'weight': 2.0}"
    )
    assert changed({"Loss weight": 2.0}, {f"Loss {k}": v for k, v in values_if_absent(LossOfToday).items()}) == []


def test_an_absent_setting_counts_as_its_default_of_then(tmp_path):
    assert values_if_absent(ExampleOfToday) == {"loss.weight": 2.0, "loss.kind": "old", "steep.weight": 7.0}
    RunManifest("f/1", {"rate": 1.0}, "d").write(str(tmp_path), "run")

    def run(**values: Any) -> ExistingRun | None:
        settings = {"rate": 1.0, "loss.weight": 5.0, "loss.kind": "new", "steep.weight": 7.0} | values
        return RunManifest("f/1", Settings(settings, values_if_absent(ExampleOfToday)), "d").existing_run(
            str(tmp_path), "tracks"
        )

    with pytest.raises(UserError, match=r"was begun with loss.kind=old, now loss.kind=new; give the same settings"):
        run()
    with pytest.raises(UserError, match=r"was begun with loss.weight=2.0, now loss.weight=5.0"):
        run(**{"loss.kind": "old"})
    assert run(**{"loss.kind": "old", "loss.weight": 2.0}) == ExistingRun("run", None)


def test_rows_of_a_class_are_those_of_its_bases_too():
    class Further(LossOfToday):
        BEFORE: ClassVar[Mapping[str, Any]] = {"kind": "oldest"}

    assert values_if_absent(Further) == {"weight": 2.0, "kind": "oldest"}


if __name__ == "__main__":
    kept = json.loads(FILE.read_text()) if FILE.exists() else {}
    now = counted()
    FILE.write_text(json.dumps({field: kept.get(field, now[field]) for field in sorted(now)}, indent=1) + "\n")
