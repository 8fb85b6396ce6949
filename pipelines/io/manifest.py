"""The manifest of a run: what a job writes into its output when it begins, so that the same command can continue it.

Outputs of some jobs have no manifest file: their shards carry the settings in their metadata. Both are held against the
settings of a new command by `require_same_settings`.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pipelines.io import json_documents, storage
from pipelines.io.addresses import absolute_path
from schemas.errors import UserError

MANIFEST, REPORT = "run.json", "report.json"


class Settings(dict[str, Any]):
    """Settings that a result depends on, by dotted path.

    Args:
        values: The settings.
        defaults: Their defaults. An output of an earlier version lacks the settings that were added since; it was made
            with what is their default now, so a new field must begin with the default that changes nothing.
    """

    def __init__(self, values: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.defaults: dict[str, Any] = json.loads(json.dumps(defaults))


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
        """Write it into an output, with the MLflow run that it is of.

        Raises:
            RunFailed: It cannot be written.
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
            UserError: It holds another job's run, or one with other settings or other data.
        """
        uri, report = storage.join(output, file), storage.join(output, REPORT)
        if not storage.exists(uri):
            return None
        existing = json_documents.read(uri)
        if existing.get("format") != self.format:
            raise UserError(f"output={output}: holds the {existing.get('format')} of another job; give another output")
        defaults = self.settings.defaults if isinstance(self.settings, Settings) else {}
        begun = existing["settings"]
        begun |= {name: max(begun[name], self.settings[name]) for name in self.may_grow if name in begun}
        require_same_settings(output, begun, Settings(json_documents.as_read(self.settings), defaults))
        if existing["data"] != self.data:
            raise UserError(
                f"output={output}: the {data_name} have changed since it was begun; "
                f"give the same {data_name} to continue, or another output"
            )
        return ExistingRun(existing["run_id"], json_documents.read(report) if storage.exists(report) else None)


def require_same_settings(output: str, existing: Mapping[str, Any], requested: Mapping[str, Any]) -> None:
    """Refuse to continue an output with other settings than those it was begun with.

    Args:
        output: The folder, for the message.
        existing: The settings that it was begun with, by dotted path; what is not among them had its default.
        requested: The settings of this command.

    Raises:
        UserError: They differ; the message names the first setting that does.
    """
    defaults = requested.defaults if isinstance(requested, Settings) else {}
    for name in sorted(existing.keys() | requested.keys()):
        before, now = existing.get(name, defaults.get(name)), requested.get(name)
        if not _is_same(before, now):
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
        # Earlier versions kept numbers in a search space as they were written, and YAML takes 1e-4 for a text.
        with suppress(ValueError):
            return float(before) == now
    return before == now


def _text(value: Any) -> str:
    """A value as a command line has it."""
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)
