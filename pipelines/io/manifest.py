"""The manifest of a run: what a job writes into its output when it begins, so that the same command can continue it.

Outputs of some jobs have no manifest file: their shards carry the settings in their metadata. Both are compared to the
settings of a new command by `require_same_settings`.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pipelines.io import json_documents, storage
from pipelines.io.addresses import absolute_path
from schemas.errors import UserError

MANIFEST, REPORT = "run.json", "report.json"


class Settings(dict[str, Any]):
    """Settings that a result depends on, by dotted path.

    Args:
        values: The settings.
        if_absent: What they count as in an output of an earlier version, which lacks those that were added since
            (`schemas.earlier_versions.values_if_absent`).
        alike: Values of some settings that mean the same.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        if_absent: Mapping[str, Any],
        alike: Mapping[str, Sequence[Any]] = MappingProxyType({}),
    ) -> None:
        super().__init__(values)
        self.if_absent: dict[str, Any] = json.loads(json.dumps(if_absent))
        self.alike = alike

    def as_read(self) -> "Settings":
        """The settings as they are once they have been written and read."""
        return Settings(json_documents.as_read(self), self.if_absent, self.alike)


@dataclass(frozen=True)
class ExistingRun:
    """The run that an output holds.

    Attributes:
        run_id: Its MLflow run.
        report: Its report; None while it is not finished.
    """

    run_id: str
    report: dict[str, Any] | None


@dataclass(frozen=True)
class RunManifest:
    """What a job begins with; an output never mixes two of them.

    Attributes:
        format: Format of the manifest, which says which job it is of.
        settings: All settings that the result depends on, by dotted path.
        data: Digest of the data.
        may_grow: Settings, numbers, that may be larger than when the output was begun.
    """

    format: str
    settings: Mapping[str, Any]
    data: str
    may_grow: Sequence[str] = ()

    def write(self, output: str, run_id: str, file: str = MANIFEST) -> None:
        """Write it into an output, with the MLflow run that it belongs to.

        Raises:
            RunFailed: The manifest cannot be written.
        """
        document = {"format": self.format, "run_id": run_id, "data": self.data, "settings": self.settings}
        json_documents.write(storage.join(output, file), document)

    def existing_run(self, output: str, data_name: str, file: str = MANIFEST) -> ExistingRun | None:
        """The run with this manifest that an output holds; None if the output is new.

        Args:
            output: The folder.
            data_name: What the data are called in messages, in the plural.
            file: Name of the manifest.

        Raises:
            UserError: The output holds another job's run, or one with other settings or other data.
        """
        uri, report = storage.join(output, file), storage.join(output, REPORT)
        if not storage.exists(uri):
            if storage.exists(report):
                raise UserError(f"output={output}: holds the report of another job; give another output")
            return None
        existing = json_documents.read(uri, settings=dict)
        if existing.get("format") != self.format:
            raise UserError(f"output={output}: holds the {existing.get('format')} of another job; give another output")
        begun = existing["settings"]
        for name in self.may_grow:
            if isinstance(begun.get(name), int | float):
                begun[name] = max(begun[name], self.settings[name])
        requested = self.settings if isinstance(self.settings, Settings) else Settings(self.settings, {})
        require_same_settings(output, begun, requested.as_read())
        if existing.get("data") != self.data:
            raise UserError(
                f"output={output}: the {data_name} have changed since it was begun; "
                f"give the same {data_name} to continue, or another output"
            )
        run_id = json_documents.read(uri, run_id=str)["run_id"]
        return ExistingRun(run_id, json_documents.read(report) if storage.exists(report) else None)


def require_same_settings(output: str, existing: Mapping[str, Any], requested: Mapping[str, Any]) -> None:
    """Refuse to continue an output with other settings than those it was begun with.

    Args:
        output: The folder, for the message.
        existing: The settings that it was begun with, by dotted path.
        requested: The settings of this command; `Settings` say what those count as that the output does not have.

    Raises:
        UserError: The settings differ; the message names the first one that does.
    """
    known = requested if isinstance(requested, Settings) else Settings(requested, {})
    for name in sorted(existing.keys() | requested.keys()):
        before, now = existing.get(name, known.if_absent.get(name)), requested.get(name)
        alike = known.alike.get(name, ())
        if not _is_same(before, now) and not (before in alike and now in alike):
            raise UserError(
                f"output={output}: was begun with {name}={_text(before)}, now {name}={_text(now)}; "
                "give the same settings to continue, or another output"
            )


def _is_same(before: Any, now: Any) -> bool:
    """Whether a setting is unchanged; earlier versions kept relative addresses, this one keeps absolute ones."""
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return all(map(_is_same, before, now))
    if isinstance(before, str) and isinstance(now, str) and now.startswith("/"):
        return absolute_path(before) == now
    if isinstance(before, str) and isinstance(now, float):
        # Earlier versions stored the numbers of search spaces as they were typed, and YAML reads 1e-4 as text.
        with suppress(ValueError):
            return float(before) == now
    return before == now


def _text(value: Any) -> str:
    """A value as it is typed on a command line."""
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)
