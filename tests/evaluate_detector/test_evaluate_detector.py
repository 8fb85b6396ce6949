"""`raylift evaluate_detector` as a user meets it."""

import json

import mlflow
import numpy as np
import pytest
from evaluate_detector.annotated_samples import DETECTOR, coco_set, mpii_set
from mlflow_store import datasets_of

from jobs.command_line.main import run_job


def run(capfd, folder, *arguments, annotations="people.json"):
    """The job on a made set; (exit code, stdout, stderr)."""
    fields = [f"annotations={folder}/{annotations}", f"images={folder}/images", f"output={folder}/out", DETECTOR]
    code = run_job("evaluate_detector", [*fields, *arguments])
    return code, *capfd.readouterr()


def metrics(folder):
    return json.loads((folder / "out" / "metrics.json").read_text())


def files(folder):
    return {file.name: file.stat().st_mtime_ns for file in (folder / "out" / "predictions").iterdir()}


@pytest.mark.ray
def test_the_perfect_detector_scores_1(embedded_ray, tmp_path, capfd):
    document = coco_set(tmp_path)
    code, out, err = run(capfd, tmp_path, "workers.images_per_file=2", "detector.flip=false", "flip=true")
    assert code == 0, err
    report = metrics(tmp_path)
    scores = report["metrics"]
    assert (scores["ap"], scores["ap_75"], scores["ar"], scores["mean_oks"]) == (pytest.approx(1),) * 4
    assert (report["images"], report["people_annotated"], report["people_found"]) == (6, 9, 9)
    assert report["detector"]["flip"] is True
    assert report["failures"] == []
    assert "   100.0   100.0" in out
    assert "averaged with the mirror image's; annotated boxes" in out
    results = json.loads((tmp_path / "out" / "predictions.json").read_text())
    by_image = {image["id"]: [a for a in document["annotations"] if a["image_id"] == image["id"]] for image in
                document["images"]}  # fmt: skip
    for person in results:
        triples = np.reshape(person["keypoints"], (17, 3))
        truths = [np.reshape(a["keypoints"], (17, 3)) for a in by_image[person["image_id"]]]
        assert any((triples[:, :2] == truth[:, :2]).all() for truth in truths)
        assert (person["category_id"], person["score"]) == (1, 1.0)
    [logged] = mlflow.search_runs(experiment_names=["raylift"], output_format="list")
    assert logged.data.metrics["ap"] == pytest.approx(1)
    assert logged.data.params["detector.name"] == "painted_joints:PaintedJoints"
    annotated = {("testing", "raylift.people", "people.json, images"): {"images": 6, "people": 9, "joints": 17}}
    assert datasets_of("evaluate_detector") == annotated

    before = files(tmp_path)
    assert len(before) >= 3
    assert run(capfd, tmp_path, "flip=true")[0] == 0
    assert files(tmp_path) == before, "what is done is not done again"
    assert metrics(tmp_path)["metrics"] == scores
    code, _, err = run(capfd, tmp_path, "boxes=detected", "flip=true")
    assert (code, "predictions: was begun with boxes=truth, now boxes=detected; give the same" in err) == (2, True)


@pytest.mark.ray
def test_images_that_fail_are_listed_and_tried_again(embedded_ray, tmp_path, capfd):
    coco_set(tmp_path)
    broken = tmp_path / "images" / "003.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:90])
    code, out, _ = run(capfd, tmp_path, "max_failed=0")
    assert code == 1
    assert f"failed    {broken}: cannot be decoded: damaged, cut short, or no image" in out
    assert "note: 1 images failed: whoever is annotated in them counts as not found" in out
    report = metrics(tmp_path)
    assert report["metrics"]["mean_oks"] == pytest.approx(7 / 9)
    broken.write_bytes(whole)
    assert run(capfd, tmp_path)[0] == 0
    report = metrics(tmp_path)
    assert (report["run"]["images"], report["failures"], report["metrics"]["ap"]) == (1, [], pytest.approx(1))
    assert not [name for name in files(tmp_path) if name.startswith("errors-")]


@pytest.mark.ray
def test_a_mistake_that_only_a_worker_sees_is_one_clear_line(embedded_ray, tmp_path, capfd):
    coco_set(tmp_path)
    code, _, err = run(capfd, tmp_path, "detector.layout=h36m17")
    assert code == 2
    assert "evaluate_detector: detector: finds joints of layout h36m17, which lacks nose, left_eye" in err


@pytest.mark.ray
def test_blazepose_on_real_people(embedded_ray, shared_data, tmp_path, capfd):
    folder = shared_data / "coco_tiny"
    fields = [f"annotations={folder}/test_coco.json", f"images={folder}", f"output={tmp_path}/out"]
    assert run_job("evaluate_detector", fields) == 0
    report = metrics(tmp_path)
    # 0.794 measured.
    assert report["metrics"]["mean_oks"] >= 0.72
    assert report["people_found"] == 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["annotations=none.json"], "annotations=none.json: cannot be read: No such file or directory"),
        (["annotations=list.json"], "list.json: number 0: "),
        (["annotations=empty.json"], "annotations=empty.json: nobody is annotated with joints; give others"),
        (["annotations=tail.json"], "annotations: no OKS constant is known for tail"),
        (["images=none"], "images=none: there is no such folder"),
        (["boxes=none.json"], "boxes=none.json: cannot be read: No such file or directory"),
        (["boxes=nobody.json"], "boxes=nobody.json: has no box of a person"),
        (["boxes=truth", "detector=bright_spot:BrightSpot"], "boxes=truth: bright_spot:BrightSpot cannot be told"),
        (["flip=true", "detector=blazepose"], "flip=true: blazepose has no such option"),
        (["annotations=valid.json"], "head_boxes: is required"),
        (["annotations=valid.json", "boxes=detected"], "boxes=detected: MPII is scored with the annotated places"),
        (["output=people.json/x"], "output=people.json/x: the folder cannot be written"),
    ],
)
def test_a_wrong_command_is_one_clear_line(arguments, message, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    document = coco_set(tmp_path)
    mpii_set(tmp_path, heads=False)
    category = document["categories"][0]
    for name, content in {
        "list": [1],
        "empty": document | {"annotations": []},
        "nobody": [],
        "tail": document | {"categories": [category | {"keypoints": [*category["keypoints"][:-1], "tail"]}]},
    }.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    code = run_job(
        "evaluate_detector", ["annotations=people.json", "images=images", "output=out", DETECTOR, *arguments]
    )
    err = capfd.readouterr().err
    assert code == 2
    assert err.startswith(f"evaluate_detector: {message}")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists(), "nothing is written before the command is known to be right"
