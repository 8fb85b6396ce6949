"""Progress where nothing can be redrawn: lines, now and then."""

from types import SimpleNamespace

from jobs.command_line import progress
from schemas.progress import Progress


def test_a_log_gets_a_line_now_and_then(capfd, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    with progress.make_bars(transient=True) as bars:
        task = bars.add_task("label", total=200, shown="")
        for video in range(1, 101):
            clock[0] += 1
            bars.update(task, completed=video, shown=f"{video} of 200 videos")
    lines = [line for line in capfd.readouterr().err.splitlines() if line.strip()]
    assert lines == [f"label  {at / 2:.0f} %  {at} of 200 videos" for at in (30, 60, 90)]


def test_without_a_total_there_is_no_share(capfd, monkeypatch):
    monkeypatch.setattr(progress, "INTERVAL_S", 0.0)
    with progress.make_bars(transient=True) as bars:
        bars.update(bars.add_task("import", total=None, shown=""), shown="3 tracks")
    assert "import  3 tracks" in capfd.readouterr().err.splitlines()


def test_at_its_end_a_job_says_how_far_it_came(capfd):
    with progress.stage_bars() as on_progress:
        on_progress(Progress("label", 1.5, 3, "videos"))
        on_progress(Progress("label", 3, 3, "videos", "40 frames"))
    assert capfd.readouterr().err.splitlines() == ["label  100 %  3 of 3 videos, 40 frames"]
