"""Made sets of annotated images: people whose joints are painted, which the plug-in `painted_joints` finds."""

import json

import cv2
import numpy as np

from schemas.layouts import layout

# The colours that the plug-in knows.
STEP = 7
DETECTOR = "detector=painted_joints:PaintedJoints"
SIZES = ((90, 120), (160, 100), (64, 64))
JOINTS = layout("coco17").joints


def paint(people, height, width):
    """An image with people's joints, (people, joints, 2) whole pixels; negative ones are left out."""
    image = np.zeros((height, width, 3), np.uint8)
    for p, points in enumerate(people):
        for j, (x, y) in enumerate(points):
            if x >= 0:
                image[y, x] = (STEP * (j + 1), STEP * (p + 1), 255)
    return image


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1])


def people_of(random, count, height, width):
    """Joints of people side by side, every one on a pixel of its own."""
    strip = width // count
    return [
        np.stack(
            [
                start * strip + random.choice(strip - 4, 17, replace=False) + 2,
                random.choice(height - 4, 17, replace=False) + 2,
            ],
            -1,
        )
        for start in range(count)
    ]


def coco_set(folder, images=6, seed=0):
    """Writes images/ and people.json, as COCO has them; returns the annotations."""
    random = np.random.default_rng(seed)
    listed, annotations = [], []
    for number in range(images):
        width, height = SIZES[number % len(SIZES)]
        people = people_of(random, 1 + number % 2, height, width)
        name = f"{number:03}.png"
        save(folder / "images" / name, paint(people, height, width))
        listed.append({"id": 100 + number, "file_name": name, "width": width, "height": height})
        for points in people:
            low, high = points.min(0) - 1, points.max(0) + 2
            annotations.append(
                {
                    "id": 1000 + len(annotations),
                    "image_id": 100 + number,
                    "category_id": 1,
                    "bbox": [*low.tolist(), *(high - low).tolist()],
                    "area": float(np.prod(high - low)) / 2,
                    "iscrowd": 0,
                    "keypoints": np.concatenate([points, np.full((17, 1), 2)], 1).ravel().tolist(),
                    "num_keypoints": 17,
                    "segmentation": [[0.0] * 6],
                }
            )
    document = {
        "images": listed,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "keypoints": list(JOINTS)}],
    }
    (folder / "people.json").write_text(json.dumps(document))
    return document


def mpii_set(folder, people=5, seed=0, heads=True):
    """Writes images/ and valid.json, as HRNet's copies of MPII have them; returns the list."""
    random = np.random.default_rng(seed)
    entries = []
    for number in range(people):
        (points,) = people_of(random, 1, 100, 140)
        # The painted joints are those of coco17; mpii16 has its twelve limb joints under other numbers.
        named = dict(zip(JOINTS, points, strict=True))
        mpii = layout("mpii16").joints
        joints = [named[joint] + 1 if joint in named else np.array([30, 30]) for joint in mpii]
        save(folder / "images" / f"{number}.png", paint([points], 100, 140))
        entries.append(
            {
                "image": f"{number}.png",
                "center": [71.0, 40.0],
                "scale": 0.8,
                "joints": np.array(joints, float).tolist(),
                "joints_vis": [1] * 16,
                **({"head_box": [20, 20, 32, 36]} if heads else {}),
            }
        )
    (folder / "valid.json").write_text(json.dumps(entries))
    return entries
