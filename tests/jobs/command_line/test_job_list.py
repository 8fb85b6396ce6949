"""Which files are jobs."""

from jobs.command_line import job_list


def test_a_file_without_a_config_of_its_name_is_no_job(tmp_path, monkeypatch):
    for file in ("jobs/__init__.py", "jobs/notes.py", "jobs/count.py", "configs/__init__.py", "configs/count.py"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("")
    assert "label" in job_list.job_names()
    monkeypatch.setattr(job_list, "JOBS", tmp_path / "jobs")
    monkeypatch.setattr(job_list, "CONFIGS", tmp_path / "configs")
    assert job_list.job_names() == ["count"]
