"""JSON files of an output."""

import json

import pytest

from pipelines.io import json_documents

SIGNED = "https://clips.example/a.mp4?X-Amz-Signature=0123abcd&part=1"
DOCUMENT = {"labeled": ["s3://bucket/tracks", SIGNED], "nested": {"address": "https://ann:secret@host/x"}, "epochs": 3}


def test_a_document_holds_no_secrets(tmp_path):
    file = tmp_path / "run.json"
    json_documents.write(str(file), DOCUMENT)
    assert "0123abcd" not in file.read_text()
    assert ":secret@" not in file.read_text()
    found = json_documents.read(str(file))
    assert found["epochs"] == 3
    assert found["labeled"][0] == "s3://bucket/tracks"
    assert found["labeled"][1].endswith("&part=1")


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
