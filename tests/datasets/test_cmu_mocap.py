"""CMU's motion is fetched from a server, whole, once, and on from where it broke off; its joints are where they are."""

import http.server
import json
import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import ClassVar

import numpy as np
import pytest

from jobs.command_line.main import run_job
from pipelines.datasets import asf_amc, cmu_mocap
from pipelines.datasets.asf_amc import JOINTS, read_motion, read_skeleton
from schemas.errors import RunFailed, UserError
from schemas.layouts import layout

# Name, parent, direction and length of each bone of an invented skeleton with the names of CMU's; inches times 0.45.
BONES = (
    *(("lhipjoint", "root", (0.6, -0.8, 0), 2), ("lfemur", "lhipjoint", (0, -1, 0), 7)),
    *(("ltibia", "lfemur", (0, -1, 0), 7), ("rhipjoint", "root", (-0.6, -0.8, 0), 2)),
    *(("rfemur", "rhipjoint", (0, -1, 0), 7), ("rtibia", "rfemur", (0, -1, 0), 7)),
    *(("lowerback", "root", (0, 1, 0), 2), ("upperback", "lowerback", (0, 1, 0), 2)),
    *(("thorax", "upperback", (0, 1, 0), 2), ("lowerneck", "thorax", (0, 1, 0), 1)),
    *(("upperneck", "lowerneck", (0, 0.8, 0.6), 1), ("head", "upperneck", (0, 1, 0), 1.5)),
    *(("lclavicle", "thorax", (1, 0, 0), 3), ("lhumerus", "lclavicle", (1, 0, 0), 5)),
    *(("lradius", "lhumerus", (1, 0, 0), 4), ("rclavicle", "thorax", (-1, 0, 0), 3)),
    *(("rhumerus", "rclavicle", (-1, 0, 0), 5), ("rradius", "rhumerus", (-1, 0, 0), 4)),
)
UNIT_M = 0.0254 / 0.45
AXES = {"lhumerus": (0, 0, 30), "rhumerus": (10, 20, -30)}
DOF = {"lfemur": "rx ry rz", "ltibia": "rx", "lhumerus": "rx ry rz", "rhumerus": "rx ry rz"}


def asf() -> str:
    bones = "".join(
        f"  begin\n     id {number}\n     name {name}\n     direction {' '.join(map(str, direction))}\n"
        f"     length {length}\n     axis {' '.join(map(str, AXES.get(name, (0, 0, 0))))} XYZ\n"
        + (f"    dof {DOF[name]}\n    limits (-160.0 20.0)\n           (-70.0 70.0)\n" if name in DOF else "")
        + "  end\n"
        for number, (name, _, direction, length) in enumerate(BONES, 1)
    )
    hierarchy = "".join(f"    {parent} {name}\n" for name, parent, _, _ in BONES)
    return (
        "# an invented person\n:version 1.10\n:name SOMEBODY\n:units\n  mass 1.0\n  length 0.45\n  angle deg\n"
        ":documentation\n   made for a test\n:root\n   order TX TY TZ RX RY RZ\n   axis XYZ\n   position 0 0 0\n"
        f"   orientation 0 0 0\n:bonedata\n{bones}:hierarchy\n  begin\n{hierarchy}  end\n"
    )


def amc(*frames: Mapping[str, tuple[float, ...]]) -> str:
    resting = {"root": (0, 17, 0, 0, 0, 0)} | {name: (0,) * len(dof.split()) for name, dof in DOF.items()}
    text = "#!OML:ASF\n:FULLY-SPECIFIED\n:DEGREES\n"
    for number, frame in enumerate(frames, 1):
        moved = {**resting, **frame}
        text += f"{number}\n" + "".join(f"{name} {' '.join(map(str, values))}\n" for name, values in moved.items())
    return text


def joint(positions, name, frame=0):
    return positions[frame, layout("h36m17").index(name)] / UNIT_M


@pytest.fixture
def skeleton():
    return read_skeleton(asf(), "a.asf")


def test_a_person_who_rests_stands_upright_in_metres(skeleton):
    positions = read_motion(amc({}), skeleton, "a.amc")
    assert positions.shape == (1, 17, 3)
    np.testing.assert_allclose(joint(positions, "pelvis"), (0, 0, 17), atol=1e-5)
    np.testing.assert_allclose(joint(positions, "left_ankle"), (1.2, 0, 17 - 1.6 - 14), atol=1e-5)
    np.testing.assert_allclose(joint(positions, "right_wrist"), (-12, 0, 23), atol=1e-5)
    np.testing.assert_allclose(joint(positions, "neck"), (0, -0.6, 24.8), atol=1e-5)
    assert positions[0, :, 2].max() == pytest.approx(26.3 * UNIT_M)


def test_bones_turn_about_their_own_axes_and_carry_what_hangs_on_them(skeleton):
    frames = (
        {"root": (1, 17, 2, 0, 90, 0)},  # a quarter turn to the left
        {"lfemur": (-90, 0, 0), "ltibia": (90,)},  # the thigh lies level in front, the shin hangs
        {"lhumerus": (0, 0, 90)},  # the arm is lifted
        {"lhumerus": (90, 0, 0)},  # about an axis that is turned by 30 degrees in the plane of the picture
    )
    positions = read_motion(amc(*frames), skeleton, "a.amc")
    np.testing.assert_allclose(joint(positions, "left_wrist", 0), (1, -2 + 12, 23), atol=1e-5)
    np.testing.assert_allclose(joint(positions, "left_knee", 1), (1.2, -7, 15.4), atol=1e-5)
    np.testing.assert_allclose(joint(positions, "left_ankle", 1), (1.2, -7, 15.4 - 7), atol=1e-5)
    np.testing.assert_allclose(joint(positions, "left_wrist", 2), (3, 0, 23 + 9), atol=1e-5)
    # The arm, 9 long, keeps its part along the axis, 9 cos 30; the rest is turned by a quarter about it.
    along = 9 * np.cos(np.pi / 6) * np.array([np.cos(np.pi / 6), 0, np.sin(np.pi / 6)])
    np.testing.assert_allclose(joint(positions, "left_elbow", 3) - (3, 0, 23), along * 5 / 9 + (0, 2.5, 0), atol=1e-5)


def test_all_lengths_stay_whatever_the_pose(skeleton):
    rng = np.random.default_rng(0)
    frames = [
        {
            "root": tuple(rng.normal(0, 90, 6)),
            "lfemur": tuple(rng.normal(0, 90, 3)),
            "rhumerus": (30.0, *rng.normal(0, 90, 2)),
        }
        for _ in range(20)
    ]
    positions = read_motion(amc({}, *frames), skeleton, "a.amc")
    for child, parent in (("left_knee", "left_hip"), ("right_elbow", "right_shoulder"), ("head", "neck")):
        a, b = (positions[:, layout("h36m17").index(name)] for name in (child, parent))
        lengths = np.linalg.norm(a - b, axis=-1)
        np.testing.assert_allclose(lengths, lengths[0], rtol=1e-5)
    assert set(JOINTS) == set(layout("h36m17").joints)


@pytest.mark.parametrize(
    ("skeleton_text", "motion_text", "line"),
    [
        ("<html>busy</html>", amc({}), r"^a.asf: is no skeleton \(ASF\): .*; fetch it again, or give another$"),
        (asf().replace("root lhipjoint", "lfemur lhipjoint"), amc({}), "hang on each other in a circle"),
        (asf(), "<html>busy</html>", r"^a.amc: is no motion \(AMC\) of its skeleton: .*; fetch it again$"),
        (asf(), amc({}, {})[:-40], "is no motion"),
        (asf(), amc({"tail": (1.0,)}), "is no motion"),
        (asf(), amc({"ltibia": (1.0, 2.0)}), "ltibia has 2 values in a frame"),
    ],
)
def test_what_is_no_motion_is_one_line(skeleton_text, motion_text, line):
    with pytest.raises(UserError, match=line) as error:
        read_motion(motion_text, read_skeleton(skeleton_text, "a.asf"), "a.amc")
    assert "\n" not in str(error.value)


def test_a_skeleton_of_thousands_of_bones_is_one_line():
    bone = "  begin\n  name b{0}\n  direction 0 1 0\n  length 1\n  axis 0 0 0 XYZ\n  end\n"
    bones = "".join(bone.format(number) for number in range(2_000))
    text = asf().replace(":hierarchy", f"{bones}:hierarchy")
    with pytest.raises(UserError, match=r"bones, at most 1,000 are read"):
        read_skeleton(text, "a.asf")


def test_a_motion_whose_places_would_fill_the_memory_is_one_line(skeleton, monkeypatch):
    monkeypatch.setattr(asf_amc, "_MOST_PLACES", 10 * len(skeleton.bones))
    assert len(read_motion(amc(*[{}] * 10), skeleton, "a.amc")) == 10
    with pytest.raises(UserError, match="it has more than 10 frames; give it in parts"):
        read_motion(amc(*[{}] * 11), skeleton, "a.amc")


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
