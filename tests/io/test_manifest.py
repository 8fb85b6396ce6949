"""The manifest by which a job knows its own output again."""

import pytest

from pipelines.io.manifest import ExistingRun, RunManifest, Settings
from schemas.errors import UserError

MANIFEST = RunManifest("raylift.training/1", {"optimization.epochs": 3, "lifter.filter_widths": (3, 3)}, "of tracks")


def test_the_run_of_an_output_is_recognized(tmp_path):
    assert MANIFEST.existing_run(str(tmp_path), "tracks") is None
    MANIFEST.write(str(tmp_path), "run 7")
    assert MANIFEST.existing_run(str(tmp_path), "tracks") == ExistingRun("run 7", None)
    (tmp_path / "report.json").write_text('{"epochs": 3}')
    assert MANIFEST.existing_run(str(tmp_path), "tracks") == ExistingRun("run 7", {"epochs": 3})


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            RunManifest("raylift.search/1", MANIFEST.settings, "of tracks"),
            "holds the raylift.training/1 of another job",
        ),
        (RunManifest(MANIFEST.format, MANIFEST.settings, "of others"), "the tracks have changed since it was begun"),
        (
            RunManifest(MANIFEST.format, {**MANIFEST.settings, "optimization.epochs": 4}, "of tracks"),
            "was begun with optimization.epochs=3, now optimization.epochs=4; give the same settings",
        ),
        (RunManifest(MANIFEST.format, {}, "of tracks"), "was begun with lifter.filter_widths=.3, 3., now .*=none"),
    ],
)
def test_another_run_is_refused(tmp_path, other, message):
    MANIFEST.write(str(tmp_path), "run 7")
    with pytest.raises(UserError, match=message):
        other.existing_run(str(tmp_path), "tracks")


def test_a_setting_that_an_earlier_version_did_not_have_counts_as_its_default(tmp_path):
    RunManifest("f/1", {"rate": 1e-3}, "d").write(str(tmp_path), "run")
    defaults = {"widths": (3, 3), "flip": False}

    def run(**values):
        settings = Settings({"rate": 1e-3, "widths": (3, 3), "flip": False} | values, defaults)
        return RunManifest("f/1", settings, "d").existing_run(str(tmp_path), "tracks")

    assert run() == ExistingRun("run", None)
    with pytest.raises(UserError, match="was begun with flip=false, now flip=true"):
        run(flip=True)


def test_a_number_that_an_earlier_version_kept_as_text_is_the_same(tmp_path):
    RunManifest("f/1", {"rate": ["1e-4", 1e-2]}, "d").write(str(tmp_path), "run")
    assert RunManifest("f/1", {"rate": [1e-4, 1e-2]}, "d").existing_run(str(tmp_path), "tracks")
    with pytest.raises(UserError, match="was begun with rate"):
        RunManifest("f/1", {"rate": [1e-3, 1e-2]}, "d").existing_run(str(tmp_path), "tracks")


def test_a_link_with_a_new_signature_is_the_same_setting(tmp_path):
    address = "https://tracks.example/a?X-Amz-Signature={}"
    RunManifest("f/1", {"labeled": address.format("0123")}, "d").write(str(tmp_path), "run")
    again = RunManifest("f/1", {"labeled": address.format("4567")}, "d")
    assert again.existing_run(str(tmp_path), "tracks") == ExistingRun("run", None)
    assert "0123" not in (tmp_path / "run.json").read_text()


def test_an_output_begun_with_relative_addresses_by_an_earlier_version_continues(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    RunManifest("f/1", {"labeled": ["tracks", "s3://b/t"], "lifter.name": "a"}, "d").write("out", "run")
    now = {"labeled": (f"{tmp_path}/tracks", "s3://b/t"), "lifter.name": "a"}
    assert RunManifest("f/1", now, "d").existing_run(f"{tmp_path}/out", "tracks") == ExistingRun("run", None)
    with pytest.raises(UserError, match=r"begun with labeled=.'tracks', .*, now labeled=.*/other"):
        RunManifest("f/1", now | {"labeled": (f"{tmp_path}/other", "s3://b/t")}, "d").existing_run("out", "tracks")


def test_an_output_with_the_report_of_another_job_is_refused(tmp_path):
    (tmp_path / "report.json").write_text('{"format": "raylift.import/1"}')
    with pytest.raises(UserError, match="holds the report of another job; give another output"):
        MANIFEST.existing_run(str(tmp_path), "tracks")
