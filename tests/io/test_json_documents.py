"""JSON files of an output."""

import json

import pytest

from pipelines.io import json_documents
from pipelines.io.manifest import RunManifest
from pipelines.label.status import status
from pipelines.lift.exports import ExportSettings
from pipelines.training import checkpoints
from pipelines.tune.trial_records import read_trials
from pipelines.tune.warm_start import read_earlier
from schemas.configs.export import ExportOptions
from schemas.configs.tune import TuneConfig
from schemas.errors import UserError

SIGNED = "https://clips.example/a.mp4?X-Amz-Signature=0123abcd&part=1"
DOCUMENT = {"labeled": ["s3://bucket/tracks", SIGNED], "nested": {"address": "https://ann:secret@host/x"}, "epochs": 3}


def test_a_document_holds_no_secrets(tmp_path):
    file = tmp_path / "run.json"
    json_documents.write(str(file), DOCUMENT)
    assert "0123abcd" not in file.read_text()
    assert ":secret@" not in file.read_text()
    document = json_documents.read(str(file))
    assert document["epochs"] == 3
    assert document["labeled"][0] == "s3://bucket/tracks"
    assert document["labeled"][1].endswith("&part=1")


def test_what_is_given_is_compared_with_what_was_written(tmp_path):
    """Lists for tuples, and without secrets: a link that was signed anew is the same one."""
    file = tmp_path / "run.json"
    json_documents.write(str(file), DOCUMENT)
    anew = json.loads(json.dumps(DOCUMENT).replace("0123abcd", "fedc9876"))
    assert json_documents.as_read(anew) == json_documents.read(str(file))
    assert json_documents.as_read({"widths": (3, 3)}) == {"widths": [3, 3]}


def test_deep_nesting_is_an_error_of_the_document():
    with pytest.raises(ValueError, match="nested too deeply"):
        json_documents.parse("[" * 200_000)


# What somebody may have put in place of an object with values.
NONSENSE = (
    "",
    "{",
    "[]",
    "null",
    "3",
    '"text"',
    "[" * 200_000,
    "{}",
    '{"settings": 3}',
    '{"settings": {}, "data": []}',
)
READERS = {
    "run.json": lambda folder: RunManifest("raylift.training/1", {"a": 1}, "0").existing_run(folder, "tracks"),
    "search.json": lambda folder: read_earlier(
        TuneConfig(
            labeled="x", output="y", warm_start=folder, search_space={"optimization.lr": {"choice": [1e-3, 1e-4]}}
        ),
        {},
        "0",
    ),
    "trials/000/trial.json": read_trials,
    "job.json": status,
    "exports.json": lambda folder: ExportSettings((), False, False, ExportOptions()).require_same(folder),
    "checkpoints/epoch-0001/metrics.json": checkpoints.find,
}


@pytest.mark.parametrize("text", NONSENSE, ids=lambda text: text[:20])
@pytest.mark.parametrize("name", READERS)
def test_a_document_of_somebody_else_is_a_value_or_one_line(tmp_path, name, text):
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    message = ""
    try:
        READERS[name](str(tmp_path))
    except UserError as error:
        message = str(error)
    assert len(message.splitlines()) <= 1
    assert len(message) < 1000
