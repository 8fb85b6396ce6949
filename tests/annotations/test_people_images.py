"""People in image files: COCO's and MPII's formats as sources of training."""

import json

import numpy as np
import pytest
from evaluate_detector.annotated_samples import coco_set, mpii_set

from pipelines.annotations.people.images import AnnotatedImages, CocoPeople, MpiiImages
from pipelines.annotations.people.source import LabeledImage, PeopleSource, Unreadable
from pipelines.video.isolated import IsolatedReader
from schemas.errors import UserError


def options(folder, file):
    return AnnotatedImages(annotations=str(folder / file), images=str(folder / "images"))


def everything(parts):
    reader = IsolatedReader(10.0)
    return [item for part in parts for item in part.read(reader)]


def everybody(parts) -> list[LabeledImage]:
    return [image for image in everything(parts) if isinstance(image, LabeledImage)]


def test_coco_people_with_their_images(tmp_path):
    document = coco_set(tmp_path)
    source = CocoPeople(options(tmp_path, "people.json"))
    assert isinstance(source, PeopleSource)
    joints, parts = source.parts()
    images = everybody(parts)
    assert joints.name == "coco17"
    assert sum(part.images for part in parts) == len(images) == 6
    people = [a for a in document["annotations"] if a["image_id"] == 101]
    assert images[1].pixels.shape == (100, 160, 3)
    keypoints = np.reshape(people[0]["keypoints"], (17, 3))
    np.testing.assert_array_equal(images[1].people.keypoints[0], keypoints[:, :2])
    assert len(images[1].people) == len(people) == 2
    assert images[1].people.areas.tolist() == [person["area"] for person in people]
    assert np.isnan(images[1].people.head_sizes_px).all(), "COCO has no heads"


def test_crowds_and_people_without_joints_are_left_out(tmp_path):
    document = coco_set(tmp_path)
    document["annotations"][0]["iscrowd"] = 1
    document["annotations"][1]["keypoints"] = [0] * 51
    (tmp_path / "people.json").write_text(json.dumps(document))
    images = everybody(CocoPeople(options(tmp_path, "people.json")).parts()[1])
    assert sum(len(image.people) for image in images) == len(document["annotations"]) - 2
    assert not any(image.name.endswith("000.png") for image in images), "nobody else is in that one"


def test_images_that_are_missing_or_damaged_are_reported_and_the_others_read(tmp_path):
    coco_set(tmp_path)
    (tmp_path / "images" / "001.png").unlink()
    (tmp_path / "images" / "002.png").write_bytes(b"no image")
    items = everything(CocoPeople(options(tmp_path, "people.json")).parts()[1])
    reasons = {one.name.rsplit("/")[-1]: one.reason for one in items if isinstance(one, Unreadable)}
    assert reasons == {
        "001.png": "there is no such file",
        "002.png": "cannot be decoded: damaged, cut short, or no image",
    }
    assert len(items) == 6


def test_pictures_of_another_size_than_annotated_are_reported(tmp_path):
    document = coco_set(tmp_path)
    document["images"][1] |= {"width": 320, "height": 200}
    (tmp_path / "people.json").write_text(json.dumps(document))
    (wrong,) = (
        one
        for one in everything(CocoPeople(options(tmp_path, "people.json")).parts()[1])
        if isinstance(one, Unreadable)
    )
    assert wrong.reason == "is 160 × 100 px, the annotations say 320 × 200"


def test_without_sizes_joints_must_be_in_the_picture(tmp_path):
    entries = mpii_set(tmp_path)
    entries[0]["joints"] = (np.array(entries[0]["joints"]) * 4).tolist()
    (tmp_path / "valid.json").write_text(json.dumps(entries))
    (wrong,) = (
        one for one in everything(MpiiImages(options(tmp_path, "valid.json")).parts()[1]) if isinstance(one, Unreadable)
    )
    assert "px, but joints are annotated as far as" in wrong.reason


def test_what_is_left_out_is_told(tmp_path, caplog):
    document = coco_set(tmp_path)
    document["annotations"][0]["keypoints"][:2] = 0, 0
    (tmp_path / "people.json").write_text(json.dumps(document))
    CocoPeople(options(tmp_path, "people.json")).parts()
    assert "1 joints are marked visible at exactly (0, 0)" in caplog.text


def test_mpii_people_have_heads(tmp_path):
    entries = mpii_set(tmp_path)
    joints, parts = MpiiImages(options(tmp_path, "valid.json")).parts()
    images = everybody(parts)
    assert joints.name == "mpii16"
    assert len(images) == len(entries)
    np.testing.assert_allclose(images[0].people.keypoints[0], np.array(entries[0]["joints"]) - 1)
    assert images[0].people.head_sizes_px[0] == pytest.approx(0.6 * 20, rel=0.2)


def test_the_digest_of_a_part_identifies_its_annotations(tmp_path):
    coco_set(tmp_path / "a")
    coco_set(tmp_path / "b", seed=1)
    first, again, other = (
        [part.digest for part in CocoPeople(options(tmp_path / name, "people.json")).parts()[1]] for name in "aab"
    )
    assert first == again
    assert first != other


def test_nobody_annotated_is_reported(tmp_path):
    document = coco_set(tmp_path)
    (tmp_path / "people.json").write_text(json.dumps(document | {"annotations": []}))
    with pytest.raises(UserError, match=r"people\.json"):
        CocoPeople(options(tmp_path, "people.json")).parts()
