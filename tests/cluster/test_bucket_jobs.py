"""The jobs besides label, train and lift entirely in a bucket: a search is killed, and goes on; all is done once."""

import numpy as np
import pytest
from cluster.bucket_jobs import INPUTS, same_weights, serving, start_in
from cluster.store_proxy import BUCKET
from datasets.moving_people import walking
from evaluate_detector.annotated_samples import DETECTOR, coco_set
from running_jobs import finish, kill_once
from train.training_samples import person, write

from jobs.status import read_state
from pipelines.io import json_documents, storage
from pipelines.synthetic.studio import synthesize
from schemas.configs.synthesize import SynthesizeConfig

# Two processes with a Ray each, one after another: on a busy machine each start takes a minute.
pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

FIRST, SECOND = f"s3://{BUCKET}/first", f"s3://{BUCKET}/second"
# The first is the default, with which a search begins.
RATES = (1e-3, 1e-7)
RATE = "optimization.learning_rate"


def train_detector(output):
    return [
        *("train_detector", "data=studio", f"data.folder={INPUTS}/studio", "data.every=1", "data.subjects=[S000]"),
        *("validation=studio", f"validation.folder={INPUTS}/studio", "validation.every=2"),
        *("validation.subjects=[S001]", f"output={output}/detector", "network.channels=2", "network.input_size=64x64"),
        *("optimization.epochs=2", "optimization.batch_size=2", "resources.cpus_per_worker=1"),
    ]


def tune(output):
    return [
        *("tune", f"labeled={INPUTS}/tracks", f"output={output}/search", "data.validation_subjects=[S2]"),
        *("lifter.channels=16", "lifter.filter_widths=[3]", "optimization.batch_size=32", "optimization.epochs=30"),
        *("sampler=grid", "scheduler=none", f"search_space.{RATE}={{choice: {list(RATES)}}}"),
        "max_concurrent_trials=1",
    ]


def others(output):
    tracks = (f"model={output}/search/best.pt", f"data={INPUTS}/tracks", "subjects=[S2]")
    return [
        ["evaluate", *tracks, f"output={output}/scores"],
        ["register", *tracks, "name=lifter", "promote=champion"],
        [
            *("evaluate_detector", f"annotations={INPUTS}/coco/people.json", f"images={INPUTS}/coco/images"),
            *(f"output={output}/coco", DETECTOR),
        ],
        [
            *("import_poses", "source=mocap17", f"source.positions={INPUTS}/mocap.npz", "source.check=false"),
            f"output={output}/mocap",
        ],
    ]


@pytest.fixture(scope="module")
def store(tmp_path_factory, plugin_path):
    """A server with rendered people, painted ones, and labeled tracks in its bucket."""
    folder = tmp_path_factory.mktemp("inputs")
    small = {"people": 2, "seconds": 1, "fps": 4, "views": 1, "width": 160, "height": 160, "workers": 1}
    synthesize(SynthesizeConfig.model_validate({"output": str(folder / "studio"), **small}))
    coco_set(folder / "coco")
    write(folder / "tracks", person("a", 300), person("b", 300, subject="S2"))
    np.savez(folder / "mocap.npz", positions_3d=np.array({"S1": {"walk": walking(50)}}, dtype=object))
    with serving(folder) as address:
        yield address


def trials(output):
    folders = storage.list_folder(f"{output}/search/trials")
    return [json_documents.read(f"{folder}/trial.json") for folder in folders if storage.exists(f"{folder}/trial.json")]


def outcomes(output):
    """What a search found: all that does not differ from run to run."""
    return [(trial["parameters"], trial["state"], trial["scores_mm"]) for trial in trials(output)]


def test_a_killed_search_ends_as_if_undisturbed_and_no_job_works_twice(store, tmp_path):
    job = start_in(tmp_path, store, tune(FIRST), train_detector(SECOND), tune(SECOND))
    kill_once(job, lambda: [trial["state"] for trial in trials(SECOND)] == ["finished", "running"])
    before = trials(SECOND)[0]
    assert read_state(f"{SECOND}/search")["state"] == "begun, not finished"
    steps = [tune(SECOND), train_detector(SECOND), *others(SECOND)]
    text = finish(start_in(tmp_path, store, *steps, *steps))
    assert same_weights(f"{FIRST}/search/best.pt", f"{SECOND}/search/best.pt")
    assert outcomes(FIRST) == outcomes(SECOND)
    assert trials(SECOND)[0] == before, "it was not trained again"
    assert json_documents.read(f"{SECOND}/search/report.json")["best"]["trial"] == "001"
    check_others(text)


def check_others(text):
    jobs = {"detector": "train_detector", "search": "tune", "scores": "evaluate", "coco": "evaluate_detector"}
    for folder, job in (jobs | {"mocap": "import_poses"}).items():
        state = read_state(f"{SECOND}/{folder}")
        assert (state["job"], state["state"]) == (job, "finished")
    for job in ("train_detector", "tune", "import_poses"):
        assert text.count(f"{job}: nothing to do: ") == (2 if job == "train_detector" else 1)
    assert [line for line in text.splitlines() if line.startswith("version  ")] == [
        "version  models:/lifter/1, new",
        "version  models:/lifter/1, registered before",
    ]
    assert text.count("this run  6 images") == 1
    assert json_documents.read(f"{SECOND}/coco/metrics.json")["metrics"]["ap"] == pytest.approx(1)
