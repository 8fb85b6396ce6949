"""Processes that render may be lost, as where memory is short: what they were rendering is rendered again."""

import itertools
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from pipelines.synthetic import studio
from pipelines.synthetic.truth import load_truth
from schemas.configs.synthesize import SynthesizeConfig
from schemas.errors import RunFailed

film = studio.film


def film_after_a_loss(config: SynthesizeConfig, first: int, index: int) -> dict[str, str]:
    """Kills its process the first time that the second person is filmed."""
    if first == 1 and not Path(config.output, "killed").exists():
        Path(config.output, "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return film(config, first, index)


def killed_always(config: SynthesizeConfig, first: int, index: int) -> dict[str, str]:
    """Kills its process."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def config(output: Path) -> SynthesizeConfig:
    small = {"people": 3, "views": 1, "seconds": 0.2, "width": 64, "height": 64, "workers": 1}
    return SynthesizeConfig.model_validate({"output": str(output), **small})


def test_what_a_lost_process_was_rendering_is_rendered_again(tmp_path, monkeypatch, caplog) -> None:
    monkeypatch.setattr(studio, "film", film_after_a_loss)
    done: list[str] = []
    videos = studio.synthesize(config(tmp_path), done.append)
    assert sorted(done) == sorted(videos)
    assert len(load_truth(str(tmp_path))) == len(videos) == 3
    assert "a process that renders was lost (exit codes -9)" in caplog.text


def test_a_process_may_be_lost_while_films_are_handed_over(tmp_path, monkeypatch) -> None:
    submit, handed_over = ProcessPoolExecutor.submit, itertools.count(1)

    def submit_or_break(pool, *work):
        if next(handed_over) == 2:
            raise BrokenProcessPool
        return submit(pool, *work)

    monkeypatch.setattr(ProcessPoolExecutor, "submit", submit_or_break)
    assert len(studio.synthesize(config(tmp_path))) == 3


def test_processes_that_are_always_lost_end_the_job_with_one_line(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(studio, "film", killed_always)
    with pytest.raises(
        RunFailed,
        match=r"^processes that render were lost 3 times, at last with exit codes -9; if memory was short, give few",
    ):
        studio.synthesize(config(tmp_path))
