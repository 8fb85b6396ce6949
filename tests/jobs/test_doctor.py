"""`raylift doctor`: what it finds, and what it warns of."""

from jobs import doctor
from jobs.command_line import main


def run_doctor(capfd):
    assert main.run_job("doctor", []) == 0
    out = capfd.readouterr().out
    return dict(line.split(maxsplit=1) for line in out.splitlines() if not line.startswith("warning")), out


def test_it_names_versions_room_and_environment(capfd, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_ADDRESS", "http://anna:secret@head:8265")
    monkeypatch.setenv("RAYLIFT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "weights.bin").write_bytes(b"x" * 2_000_000)
    lines, out = run_doctor(capfd)
    assert list(lines) == ["raylift", "packages", "cpus", "memory", "gpus", "disk", "weights", "environment"]
    assert "ray 2." in lines["packages"]
    assert lines["weights"] == "1 files, 2 MB in cache"
    assert "secret" not in out


def test_it_warns_of_what_will_disappoint(capfd, monkeypatch, tmp_path):
    long = tmp_path / ("x" * 80)
    long.mkdir()
    monkeypatch.setattr(doctor.tempfile, "gettempdir", lambda: str(long))
    monkeypatch.setattr(doctor, "_version", lambda name: "5.0")
    _, out = run_doctor(capfd)
    assert "opencv-python and opencv-python-headless" in out
    assert "is too long for Ray's sockets" in out
