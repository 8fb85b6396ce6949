"""Google's store: what is its own, beside what `test_storage`, `test_lease` and `test_copies` ask of every store."""

import json
import os
import urllib.request
from typing import BinaryIO, cast

import fsspec
import google.auth.credentials
import google.auth.exceptions
import pytest
from cluster.store_proxy import BUCKET

from pipelines.io import storage
from pipelines.io.stores import gcs, gcs_requests
from pipelines.io.stores.gcs import GcsStore
from pipelines.io.stores.policy import StoreGone, StoreRefused
from schemas.errors import RunFailed, UserError

FOLDER = f"gs://{BUCKET}/gcs"


def file_system(uri=FOLDER):
    fs, path = storage.filesystem(uri)
    assert isinstance(fs, GcsStore)
    return fs, path


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (429, {"message": "The rate of change requests to the object exceeds the rate limit."}),
        (403, {"message": "Rate Limit Exceeded", "errors": [{"reason": "rateLimitExceeded"}]}),
        (408, {"message": "Request Timeout"}),
        (500, None),
        (502, None),
        (504, None),
    ],
)
def test_requests_with_transient_errors_are_repeated(gs, status, answer):
    body = json.dumps({"error": answer}).encode() if answer else b"<html>Bad Gateway</html>"
    gs.errors = {"passing": (status, body)}
    gs.fault = lambda number, method, path: "passing" if number == 1 else None
    storage.write_bytes(f"{FOLDER}/mended", b"data")
    assert gs.done["passing"] == 1
    gs.fault = lambda number, method, path: "passing"
    with pytest.raises(StoreGone, match=f"{FOLDER}/mended: the store at {gs.address} has failed for 1 s: {status}"):
        storage.read_bytes(f"{FOLDER}/mended")


@pytest.mark.parametrize("status", [400, 409, 501])
def test_permanent_errors_are_raised_at_once(gs, status):
    gs.errors = {"wrong": (status, json.dumps({"error": {"message": "Invalid argument."}}).encode())}
    gs.fault = lambda number, method, path: "wrong"
    with pytest.raises(RunFailed, match=f"cannot write {FOLDER}/x: {status} Invalid argument"):
        storage.write_bytes(f"{FOLDER}/x", b"")
    assert len(gs.requests) == 1


def test_a_store_that_stays_silent_is_not_waited_for(gs, monkeypatch):
    storage.write_bytes(f"{FOLDER}/silent", b"data")
    monkeypatch.setattr(gcs_requests, "_SILENCE_S", 0.5)
    for method in ("GET", "POST"):
        silent = iter([5.0])
        gs.fault = lambda number, asked, path, method=method, silent=silent: (
            next(silent, None) if asked == method else None
        )
        storage.write_bytes(f"{FOLDER}/silent", storage.read_bytes(f"{FOLDER}/silent"))
    assert gs.done[5.0] == 2
    assert storage.read_bytes(f"{FOLDER}/silent") == b"data"


def test_files_and_folders_are_told_apart_and_faults_are_no_answer(gs):
    storage.write_bytes(f"{FOLDER}/kinds/inner/file", b"data")
    fs, path = file_system(f"{FOLDER}/kinds")
    for name, kinds in (("inner", (False, True)), ("inner/file", (True, False)), ("other", (False, False))):
        assert (fs.isfile(f"{path}/{name}"), fs.isdir(f"{path}/{name}")) == kinds
    assert fs.isdir(BUCKET)
    with pytest.raises(IsADirectoryError, match=f"{FOLDER}/kinds/inner"):
        storage.read_bytes(f"{FOLDER}/kinds/inner")
    with pytest.raises(FileNotFoundError, match=f"{FOLDER}/kinds/other"):
        storage.read_bytes(f"{FOLDER}/kinds/other")
    assert fs.glob(f"{path}/*/f*") == [f"{path}/inner/file"]
    gs.fault = lambda number, method, path: "refused"
    for asked in (fs.isfile, fs.isdir, fs.exists):
        with pytest.raises(StoreRefused):
            asked(path)


@pytest.mark.parametrize("fault", ["lost", "cut", "busy"])
def test_large_objects_go_up_at_once_and_come_down_in_pieces(gs, tmp_path, monkeypatch, fault):
    monkeypatch.setattr(gcs, "_PIECE_BYTES", 2**20)
    content, uri = os.urandom(12 * 2**20), f"{FOLDER}/large-{fault}"
    fs, path = file_system(uri)
    gs.fault = lambda number, method, path: fault if number % 2 else None
    with cast(BinaryIO, fs.open(path, "wb")) as file:
        for start in range(0, len(content), 2**20):
            assert not fs.exists(path), "before it is whole"
            file.write(content[start : start + 2**20])
    assert [asked for method, asked in gs.requests if method == "POST" and "uploadType=media" not in asked] == []
    fs.get_file(path, str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == storage.read_bytes(uri) == content


def test_an_object_that_is_replaced_while_it_is_read_is_never_mixed(gs, gs_server, tmp_path, monkeypatch):
    uri = f"{FOLDER}/replaced"
    storage.write_bytes(uri, b"old" * 1000)
    fs, path = file_system(uri)
    with fs.open(path, "rb", block_size=1) as file:
        assert file.read(3) == b"old"
        storage.write_bytes(uri, b"new" * 1000)
        with pytest.raises(OSError, match="replaced while it was read") as error:
            file.read()
    assert not isinstance(error.value, FileNotFoundError)
    monkeypatch.setattr(gcs, "_PIECE_BYTES", 1500)

    def replace(content):
        upload = f"{gs_server}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name=gcs/replaced"
        urllib.request.urlopen(urllib.request.Request(upload, content, method="POST")).close()

    pieces = iter([None, b"bad" * 1000])
    gs.fault = lambda number, method, path: (
        replace(content) if "alt=media" in path and (content := next(pieces, None)) else None
    )
    with pytest.raises(OSError, match="replaced while it was read"):
        fs.get_file(path, str(tmp_path / "copy"))
    pieces = iter([b"newer", b"newest"])
    assert storage.read_bytes(uri) == b"newest", "it is opened again"


def test_folders_are_removed_with_all_that_is_in_them(gs):
    for name in ("a", "inner/b", "inner/deep/c"):
        storage.write_bytes(f"{FOLDER}/removed/{name}", b"")
    storage.write_bytes(f"{FOLDER}/removed-not", b"")
    gs.fault = lambda number, method, path: "lost" if method == "DELETE" and number % 2 else None
    storage.remove_folder(f"{FOLDER}/removed")
    storage.remove_folder(f"{FOLDER}/removed")
    assert not storage.exists(f"{FOLDER}/removed")
    assert storage.exists(f"{FOLDER}/removed-not")
    gs.fault = lambda number, method, path: "refused" if method == "DELETE" else None
    with pytest.raises(StoreRefused):
        storage.remove_folder(f"{FOLDER}")


def test_no_bucket_is_made(gs):
    fs, _ = file_system()
    fs.makedirs("mistyped/folder", exist_ok=True)
    fs.mkdir("mistyped", create_parents=True)
    assert not [path for method, path in gs.requests if method == "POST"]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "the store at http://127.0.0.1:1 has failed for 1 s: Cannot connect to host 127.0.0.1:1"),
        ("http://me:planted-key@127.0.0.1:1", "…@127.0.0.1:1 has failed for 1 s: "),
        ("http://[nonsense", "cannot be used: .*; see STORAGE_EMULATOR_HOST"),
    ],
)
def test_wrong_addresses_are_reported_without_secrets(gs, monkeypatch, address, message):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
    with pytest.raises((UserError, RunFailed), match=message) as error:
        storage.read_bytes(f"{FOLDER}/x")
    assert "planted-key" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "File .*key.json was not found"),
        ("planted-key", "is not a valid json file"),
        (json.dumps({"type": "service_account", "private_key": "planted-key"}), "Failed to load service account"),
    ],
)
def test_a_file_of_credentials_that_is_of_no_use_is_reported_without_secrets(
    gs, tmp_path, monkeypatch, content, message
):
    if content is not None:
        (tmp_path / "key.json").write_text(content)
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    expected = f"gs://: the credentials cannot be used: .*{message}.*; see GOOGLE_APPLICATION_CREDENTIALS"
    with pytest.raises(UserError, match=expected) as error:
        storage.exists(f"{FOLDER}/x")
    assert "planted-key" not in str(error.value)


class Token(google.auth.credentials.Credentials):
    """Credentials whose token has to be got from a server that answers with `errors` first."""

    def __init__(self, *errors):
        super().__init__()
        self.errors = list(errors)

    def refresh(self, request):
        if self.errors:
            raise self.errors.pop(0)
        self.token = "planted-key"


def test_a_token_is_got_with_patience_and_never_shown(gs):
    passing = google.auth.exceptions.TransportError("metadata server is away"), retryable("backend error")
    fs = fsspec.filesystem("gs", token=Token(*passing))
    fs.pipe_file(f"{BUCKET}/gcs/token", b"data")
    gs.fault = lambda number, method, path: "refused"
    with pytest.raises(StoreRefused) as error:
        fs.cat_file(f"{BUCKET}/gcs/token")
    assert "planted-key" not in str(error.value)


def test_a_token_that_is_not_given_is_reported_at_once(gs):
    fs = fsspec.filesystem("gs", token=Token(google.auth.exceptions.RefreshError("invalid_grant: account not found")))
    with pytest.raises(StoreRefused, match="refuses: invalid_grant: account not found; see the credentials"):
        fs.cat_file(f"{BUCKET}/gcs/token")
    assert gs.requests == []


def retryable(message):
    return google.auth.exceptions.RefreshError(message, retryable=True)
