"""The train_detector job as a user runs it: rendered people, a kill, a checkpoint that labels video, wrong input."""

import json

import mlflow
import pyarrow.parquet as pq
import pytest
import torch
from evaluate_detector.annotated_samples import coco_set, mpii_set
from mlflow_store import new_store
from running_jobs import Job, checkpoints, kill_once, same_weights

from jobs.command_line.arguments import read_config
from jobs.command_line.main import run_job
from pipelines.detectors import pretrained
from pipelines.detectors.card import ANNOTATIONS
from pipelines.synthetic.studio import synthesize
from pipelines.train_detector.fill_crop_cache import cut_people
from pipelines.train_detector.run import prepare
from schemas.configs.synthesize import SynthesizeConfig
from schemas.configs.train_detector import TrainDetectorConfig

EPOCHS = 2


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """Two rendered people, a second each."""
    folder = tmp_path_factory.mktemp("rendered") / "studio"
    small = {"people": 2, "seconds": 1, "fps": 4, "views": 1, "width": 160, "height": 160, "workers": 1}
    synthesize(SynthesizeConfig.model_validate({"output": str(folder), **small}))
    return folder


def arguments(studio, output, *more):
    return [
        *("data=studio", f"data.folder={studio}", "data.every=1", "data.subjects=[S000]"),
        *("validation=studio", f"validation.folder={studio}", "validation.every=2", "validation.subjects=[S001]"),
        *(f"output={output}", "network.channels=2", "network.input_size=64x64"),
        *(f"optimization.epochs={EPOCHS}", "optimization.batch_size=2", "resources.cpus_per_worker=1", *more),
    ]


@pytest.fixture(scope="module")
def undisturbed(studio, embedded_ray, tmp_path_factory):
    """A training that nothing disturbed, and its MLflow run."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", new_store(folder))
        mlflow.set_tracking_uri(new_store(folder))
        assert run_job("train_detector", arguments(studio, folder / "out")) == 0
        runs = mlflow.search_runs(search_all_experiments=True, output_format="list")
    return folder / "out", runs


@pytest.mark.ray
def test_the_output_is_a_detector_and_a_report(undisturbed):
    from pipelines.detectors.hrnet.checkpoint import load_hrnet

    output, (run,) = undisturbed
    report = json.loads((output / "report.json").read_text())
    loaded = load_hrnet(str(output / "best.pt"))
    assert loaded.card is not None
    assert (loaded.card.layout, loaded.card.channels, loaded.card.input_size) == ("h36m17", 2, "64x64")
    lineage = {"run_id": run.info.run_id, "data": report["data"]}
    assert loaded.card.lineage == lineage | {ANNOTATIONS: "[]"}, "rendered people have no files of annotations"
    assert report["people"] == {"training": 4, "validation": 2}
    assert (report["epochs"], report["selected_by"], report["unreadable"]) == (EPOCHS, "pckh", 0)
    assert 1 <= report["best_epoch"] <= EPOCHS


@pytest.mark.ray
def test_the_run_is_in_mlflow_epoch_by_epoch(undisturbed):
    _, (run,) = undisturbed
    assert run.info.status == "FINISHED"
    assert (run.data.params["network.channels"], run.data.params["data.name"]) == ("2", "studio")
    logged = run.data.metrics
    noted = [(each.tags[0].value, each.dataset.source_type, each.dataset.profile) for each in run.inputs.dataset_inputs]
    assert sorted(noted) == [
        ("training", "raylift.people", '{"images": 4, "layout": "h36m17"}'),
        ("validation", "raylift.people", '{"images": 2, "layout": "h36m17"}'),
    ]
    assert {"train/loss_total", "train/learning_rate", "train/people_per_s", "validation/best_pckh"} <= logged.keys()


@pytest.mark.ray
def test_its_checkpoint_labels_a_video(undisturbed, studio, tmp_path):
    detector = ["detector=hrnet", f"detector.weights={undisturbed[0]}/best.pt", "detector.persons.name=whole_frame"]
    (video, *_) = sorted((studio / "videos").iterdir())
    fields = [f"videos={video}", f"output={tmp_path}/labels", *detector, "detector.min_person_score=0"]
    assert run_job("label", fields) == 0
    (file,) = (tmp_path / "labels" / "detections").glob("*.parquet")
    rows = pq.read_table(file)
    assert rows.schema.metadata[b"raylift.layout"] == b"h36m17"
    assert rows["error"].to_pylist() == [None]


@pytest.mark.ray
def test_a_vitpose_is_fine_tuned_and_labels_a_video(embedded_ray, studio, tmp_path, capsys):
    fields = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "out_indices": [2]}
    transformers = pretrained.library()
    config = transformers.VitPoseConfig(backbone_config=transformers.VitPoseBackboneConfig(**fields))
    transformers.VitPoseForPoseEstimation(config).save_pretrained(tmp_path / "published")
    given = [one for one in arguments(studio, tmp_path / "out") if not one.startswith("network.channels")]
    assert run_job("train_detector", [*given, "detector=vitpose", f"weights={tmp_path}/published"]) == 0
    printed = capsys.readouterr().out
    assert "ViTPose of 32 channels, 64x64, joints h36m17" in printed
    detector = ["detector=vitpose", f"detector.weights={tmp_path}/out/best.pt", "detector.layout=h36m17"]
    (video, *_) = sorted((studio / "videos").iterdir())
    options = ["detector.persons.name=whole_frame", "detector.min_person_score=0"]
    assert run_job("label", [f"videos={video}", f"output={tmp_path}/labels", *detector, *options]) == 0
    (file,) = (tmp_path / "labels" / "detections").glob("*.parquet")
    assert pq.read_table(file)["error"].to_pylist() == [None]


@pytest.mark.ray
def test_the_same_command_again_does_nothing_and_others_are_refused(undisturbed, studio, capsys):
    assert run_job("train_detector", arguments(studio, undisturbed[0])) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert run_job("train_detector", arguments(studio, undisturbed[0], "augmentation.scale=0.1")) == 2
    assert "was begun with augmentation.scale=0.35, now augmentation.scale=0.1" in capsys.readouterr().err


# Both jobs go on by pipelines/training, which tests/jobs/test_train.py shows through a kill; that a detector's training
# ends with the same weights from its saved state is shown by tests/train_detector/test_detector_loop.py.
@pytest.mark.slow
@pytest.mark.ray
def test_a_killed_job_goes_on_where_it_was(undisturbed, studio, tmp_path):
    output = tmp_path / "out"
    kill_once(Job(["train_detector", *arguments(studio, output)]), lambda: checkpoints(output))
    assert not (output / "report.json").exists()
    assert run_job("train_detector", arguments(studio, output)) == 0
    assert same_weights(undisturbed[0], output)
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "validation/pckh")
    assert [entry.step for entry in history] == list(range(1, EPOCHS + 1))


@pytest.mark.ray
def test_two_workers_go_on_from_a_checkpoint(undisturbed, studio, tmp_path, capsys):
    more = (f"weights={undisturbed[0]}/best.pt", "resources.num_workers=2", "optimization.epochs=1")
    left_out = ("network", "validation", "optimization.epochs")
    fields = [field for field in arguments(studio, tmp_path / "out") if not field.startswith(left_out)]
    assert run_job("train_detector", [*fields, *more]) == 0
    output = capsys.readouterr().out
    assert "HRNet-W2, 64x64, joints h36m17" in output
    assert "the last: nobody was held out" in output
    card = torch.load(tmp_path / "out" / "best.pt", weights_only=True)["card"]
    assert json.loads(card)["lineage"]["weights"] == f"{undisturbed[0]}/best.pt"


@pytest.fixture(scope="module")
def annotated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("annotated")
    coco_set(folder / "coco")
    mpii_set(folder / "mpii")
    return folder


def coco(folder, output, *more):
    return [
        *("data=coco", f"data.annotations={folder}/coco/people.json", f"data.images={folder}/coco/images"),
        *(f"output={output}", "network.channels=2", "network.input_size=64x64", "optimization.epochs=1", *more),
    ]


@pytest.mark.ray
def test_missing_images_end_the_job_with_one_line_unless_allowed(embedded_ray, annotated, tmp_path, capsys):
    wrong = f"data.images={tmp_path}"
    assert run_job("train_detector", coco(annotated, tmp_path / "out", wrong)) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("train_detector: ")]
    assert line.startswith("train_detector: max_failed=0: 6 images or stretches of video cannot be read: ")
    assert "000.png: there is no such file" in line
    assert run_job("train_detector", coco(annotated, tmp_path / "out", wrong, "max_failed=null")) == 2
    assert "data: nobody is in the images that can be read" in capsys.readouterr().err


@pytest.mark.ray
def test_images_that_come_later_are_learned_from_too(embedded_ray, annotated, tmp_path):
    images, progress = tmp_path / "images", []
    images.mkdir()
    config = read_config(TrainDetectorConfig, coco(annotated, tmp_path / "out", f"data.images={images}"))
    job = prepare(config)

    def cut(retry):
        progress.clear()
        summaries = cut_people(job.plan, job.files, None, retry, lambda *images: progress.append(images))
        return [(summary.people, len(summary.unreadable)) for summary in summaries.values()]

    assert cut(retry=True) == [(0, 6)]
    assert progress == [(0, 6), (6, 6)]
    for file in (annotated / "coco" / "images").iterdir():
        (images / file.name).write_bytes(file.read_bytes())
    assert cut(retry=False) == [(0, 6)], "a training that has a checkpoint continues with the same people"
    assert cut(retry=True) == [(9, 0)]
    assert cut(retry=True) == [(9, 0)]
    assert progress == [], "nothing to do"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (["data=coco"], "data.annotations: is required; give data.annotations=…"),
        (["data=kinect"], "data.name: unknown plug-in 'kinect'; known: coco, mpii, studio, tracks"),
        (["data=studio", "data.folder=empty"], "empty: holds no truth/*.parquet; make it with"),
        (["data=coco", "data.annotations=absent.json", "data.images=x"], "absent.json"),
        (["data=studio", "data.folder=x", "network.input_size=100x100"], "multiples of 32 (vitpose: 16), at"),
    ],
)
def test_wrong_input_is_reported_in_a_line(fields, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_job("train_detector", [*fields, "output=out"]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_weights_that_do_not_fit_are_reported_before_anything_is_written(annotated, tmp_path, capsys):
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "other.pt")
    assert run_job("train_detector", coco(annotated, tmp_path / "out", f"weights={tmp_path}/other.pt")) == 2
    assert "other.pt: is no HRNet (keys: conv.weight, …)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
