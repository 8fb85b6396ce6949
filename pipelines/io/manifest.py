"""What a long job notes in its output when it begins, by which the same command is known again and goes on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.io import json_documents, storage
from schemas.errors import UserError

NOTE, REPORT = "run.json", "report.json"


@dataclass(frozen=True)
class Begun:
    """A job that an output holds.

    Attributes:
        run_id: Its MLflow run.
        report: Of the finished job; None while it is not.
    """

    run_id: str
    report: dict[str, Any] | None


@dataclass(frozen=True)
class Beginning:
    """What a job begins with; an output never mixes two of them.

    Attributes:
        format: Of the note: says which job it is.
        settings: All that the result depends on, by dotted path.
        data: The digest of the data.
    """

    format: str
    settings: Mapping[str, Any]
    data: str

    def note(self, output: str, run_id: str, file: str = NOTE) -> None:
        """Write it into an output, with its MLflow run."""
        note = {"format": self.format, "run_id": run_id, "data": self.data, "settings": self.settings}
        json_documents.write(storage.join(output, file), note)

    def look_up(self, output: str, what: str, file: str = NOTE) -> Begun | None:
        """The job that an output holds; None if it is new.

        Args:
            output: The folder.
            what: What the data are, for messages.
            file: The note's name.

        Raises:
            UserError: It holds another job, or was begun with other settings or of other data.
        """
        uri, report = storage.join(output, file), storage.join(output, REPORT)
        if not storage.exists(uri):
            return None
        begun = json_documents.read(uri)
        if begun.get("format") != self.format:
            raise UserError(f"output={output}: holds the {begun.get('format')} of another job; give another output")
        self._require_same(output, begun, what)
        return Begun(begun["run_id"], json_documents.read(report) if storage.exists(report) else None)

    def _require_same(self, output: str, begun: Mapping[str, Any], what: str) -> None:
        settings = json_documents.as_read(self.settings)
        for name in sorted(begun["settings"].keys() | settings.keys()):
            before, given = begun["settings"].get(name), settings.get(name)
            if before != given:
                raise UserError(
                    f"output={output}: was begun with {name}={before}, now {name}={given}; "
                    "give the same settings to continue, or another output"
                )
        if begun["data"] != self.data:
            raise UserError(
                f"output={output}: the {what} have changed since it was begun; "
                f"give the same {what} to continue, or another output"
            )
