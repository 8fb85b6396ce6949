"""CMU's motion is fetched from a server, whole, once, and on from where it broke off."""

import http.server
import json
import re
import threading
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import ClassVar

import pytest
from invented_motion import amc, asf

from jobs.command_line.main import run_job
from pipelines.datasets import cmu_mocap
from schemas.errors import RunFailed, UserError


class Server(http.server.SimpleHTTPRequestHandler):
    """Serves a folder as CMU's pages do, in parts if asked for; may break off, and counts what it was asked for."""

    asked: ClassVar[list[tuple[str, str | None]]] = []
    sends_parts, breaks_off_after = True, 10**9

    def log_message(self, format, *args):
        pass

    def do_GET(self):
        path = self.translate_path(self.path)
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError:
            return self.send_error(HTTPStatus.NOT_FOUND)
        part = self.headers.get("Range") if self.sends_parts else None
        self.asked.append((self.path, part))
        if part is not None:
            first, _, last = part.removeprefix("bytes=").partition("-")
            content = content[int(first) : int(last) + 1]
        self.send_response(HTTPStatus.PARTIAL_CONTENT if part is not None else HTTPStatus.OK)
        self.send_header("Content-Length", str(len(content)))
        if self.sends_parts:
            self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        self.wfile.write(content[: self.breaks_off_after])
        return None


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A stand-in for CMU's pages with two people; its address, and the handler."""
    for subject, trials in (("07", (1, 2, 5)), ("135", (1,))):
        folder = tmp_path / "web" / subject
        folder.mkdir(parents=True)
        (folder / f"{subject}.asf").write_text(asf())
        for trial in trials:
            (folder / f"{subject}_{trial:02d}.amc").write_text(amc(*[{}] * (10 * trial)))
    handler = type("Handler", (Server,), {"asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(tmp_path / "web")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(cmu_mocap, "_PAUSE_S", 0)
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()


def test_all_motions_of_the_subjects_are_fetched_once(source, tmp_path, capsys):
    address, handler = source
    command = [str(tmp_path / "cmu"), "subjects=[07, 135]", f"pages={address}"]
    assert run_job("fetch_mocap", command) == 0
    output = capsys.readouterr().out
    assert "4 of 2 people, 90 frames" in output
    assert all(words in output for words in ("obtained from mocap.cs.cmu.edu", "EIA-0196217", "may not be resold"))
    document = json.loads((tmp_path / "cmu" / "source.json").read_text())
    assert sorted(document["files"])[:2] == ["07/07.asf", "07/07_01.amc"]
    assert all(digest.startswith("sha256:") for digest in document["files"].values())
    handler.asked.clear()
    assert run_job("fetch_mocap", command) == 0
    assert "downloaded   0.0 MB" in capsys.readouterr().out
    assert not handler.asked, "only files that are not there are asked for"


def test_import_poses_reads_what_was_fetched(source, tmp_path):
    assert run_job("fetch_mocap", [str(tmp_path / "cmu"), "subjects=[7]", f"pages={source[0]}"]) == 0
    positions = f"source.positions={tmp_path}/cmu/motion.npz"
    command = ["source=mocap17", positions, "source.fps=120", "source.views=1", f"output={tmp_path}/labeled"]
    assert run_job("import_poses", command) == 0
    report = json.loads((tmp_path / "labeled" / "report.json").read_text())
    assert (report["tracks"], report["frames"], report["subjects"]) == (3, 80, {"07": 80})


def test_a_download_that_broke_off_goes_on_where_it_was(source, tmp_path, monkeypatch):
    address, handler = source
    monkeypatch.setattr(cmu_mocap, "_READ_BYTES", 400)
    whole = (tmp_path / "web" / "07" / "07_05.amc").read_bytes()
    part = tmp_path / "cmu" / "files" / "07" / "07_05.amc.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(whole[:1000])
    cmu_mocap.fetch(["07"], tmp_path / "cmu", address)
    assert part.with_suffix("").read_bytes() == whole
    assert not part.exists()
    assert next(asked for name, asked in handler.asked if name.endswith("_05.amc")) == "bytes=1000-1399"


def test_a_server_that_sends_no_parts_is_asked_for_the_whole(source, tmp_path, monkeypatch):
    address, handler = source
    handler.sends_parts = False
    monkeypatch.setattr(cmu_mocap, "_READ_BYTES", 400)
    fetched = cmu_mocap.fetch(["07"], tmp_path / "cmu", address)
    assert fetched.motions == 3
    whole = (tmp_path / "web" / "07" / "07_05.amc").read_bytes()
    assert (tmp_path / "cmu" / "files" / "07" / "07_05.amc").read_bytes() == whole


def test_a_source_that_breaks_off_each_time_is_one_line_and_keeps_what_came(source, tmp_path):
    address, handler = source
    handler.breaks_off_after = 300
    with pytest.raises(RunFailed, match=r"07.asf: cannot be fetched: .*; what was fetched is kept, run the same"):
        cmu_mocap.fetch(["07"], tmp_path / "cmu", address)
    handler.breaks_off_after = 10**9
    assert cmu_mocap.fetch(["07"], tmp_path / "cmu", address).motions == 3


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (["subjects=[999]"], "subjects=999: .*999.asf is not there; give numbers such as 07 or 135"),
        (["output=s3://bucket/cmu"], "is in a bucket; give a folder on this machine"),
        (["pages=http://127.0.0.1:9"], r"asf: cannot be fetched: (?!.*127.0.0.1:9/07)"),
        (
            ["subjects=[7, ../x]"],
            r"subjects=\[7, ../x\]: ../x is no number of a person; give numbers such as 07 or 135",
        ),
    ],
)
def test_what_cannot_be_fetched_is_one_line(source, tmp_path, capsys, fields, line):
    given = {"output": f"{tmp_path}/cmu", "pages": source[0], "subjects": "[07]"}
    given |= dict(field.split("=", 1) for field in fields)
    assert run_job("fetch_mocap", [f"{name}={value}" for name, value in given.items()]) in (1, 2)
    assert re.search(line, capsys.readouterr().err)


@pytest.mark.parametrize("says_its_size", [True, False])
def test_an_answer_without_an_end_is_one_line(source, tmp_path, monkeypatch, says_its_size):
    """Whole, or in answer to a request for a part of it."""
    address, handler = source
    monkeypatch.setattr(cmu_mocap, "_LARGEST_BYTES", 1_000_000)
    sent = []

    def answer(self):
        self.send_response(HTTPStatus.OK)
        if self.command == "HEAD" and says_its_size:
            self.send_header("Content-Length", "5000")
            self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        with suppress(ConnectionError):
            while self.command == "GET" and len(sent) < 3_000:
                self.wfile.write(b"1\n" * 50_000)
                sent.append(100_000)

    handler.do_GET = handler.do_HEAD = answer
    with pytest.raises(RunFailed, match=r"bytes, motions have at most 1,000,000"):
        cmu_mocap.fetch(["07"], tmp_path / "cmu", address)
    assert sum(sent) < 200_000_000


def test_a_file_that_was_changed_here_is_not_taken_for_what_was_fetched(source, tmp_path):
    cmu_mocap.fetch(["07"], tmp_path / "cmu", source[0])
    (tmp_path / "cmu" / "files" / "07" / "07_01.amc").write_text(amc({}))
    with pytest.raises(UserError, match=r"07_01.amc: is not what was fetched \(its SHA-256 has changed\); remove it"):
        cmu_mocap.fetch(["07"], tmp_path / "cmu", source[0])
    with pytest.raises(UserError, match=r"holds motion of http.*; give another output"):
        cmu_mocap.fetch(["07"], tmp_path / "cmu", "http://127.0.0.1:9")
