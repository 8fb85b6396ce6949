"""Files as other systems write them, and what they hold."""

import json

import numpy as np

RNG = np.random.default_rng(0)


def points(joints, people=1):
    """(people, joints, 3): x, y, confidence."""
    return np.concatenate([RNG.uniform(50, 400, (people, joints, 2)), RNG.uniform(0.5, 1, (people, joints, 1))], 2)


def only(videos):
    (video,) = videos
    return video


def write(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return str(path)


def deeplabcut_csv(individuals):
    parts, frames = ("Nose", "hipL", "hipR", "kneeL", "kneeR", "tail"), 4
    values = RNG.uniform(50, 400, (frames, len(individuals), len(parts), 3))
    values[..., 2] = 0.9
    header = [["scorer", *(["DLC"] * values[0].size)]]
    if individuals != [""]:
        header.append(["individuals", *np.repeat(individuals, 3 * len(parts))])
    header.append(["bodyparts", *np.tile(np.repeat(parts, 3), len(individuals))])
    header.append(["coords", *(["x", "y", "likelihood"] * len(parts) * len(individuals))])
    rows = [[str(number), *map(str, row.ravel())] for number, row in enumerate(values)]
    return "\n".join(",".join(map(str, line)) for line in [*header, *rows]), values


def trc_text(units, sign=1):
    markers, frames = ("RHip", "LHip", "RKnee", "LKnee", "Neck"), 3
    places = RNG.uniform(50, 400, (frames, len(markers), 3)) * (1, sign, 0)
    rows = ["\t".join(map(str, [frame, frame / 30, *place.ravel()])) for frame, place in enumerate(places)]
    header = [
        "PathFileType\t4\t(X/Y/Z)\twalk_px.trc",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits",
        f"30\t30\t{frames}\t{len(markers)}\t{units}",
        "Frame#\tTime\t" + "\t\t\t".join(markers),
        "\t\t" + "\t".join(f"{axis}{n}" for n in range(1, 6) for axis in "XYZ"),
    ]
    return "\n".join([*header, *rows]), places * (1, sign, 0)
