"""An invented skeleton with the names of CMU's bones, and motions of it, as the text of ASF and AMC files."""

from collections.abc import Mapping

# Name, parent, direction and length of each bone of an invented skeleton with the names of CMU's; inches times 0.45.
BONES = (
    *(("lhipjoint", "root", (0.6, -0.8, 0), 2), ("lfemur", "lhipjoint", (0, -1, 0), 7)),
    *(("ltibia", "lfemur", (0, -1, 0), 7), ("rhipjoint", "root", (-0.6, -0.8, 0), 2)),
    *(("rfemur", "rhipjoint", (0, -1, 0), 7), ("rtibia", "rfemur", (0, -1, 0), 7)),
    *(("lowerback", "root", (0, 1, 0), 2), ("upperback", "lowerback", (0, 1, 0), 2)),
    *(("thorax", "upperback", (0, 1, 0), 2), ("lowerneck", "thorax", (0, 1, 0), 1)),
    *(("upperneck", "lowerneck", (0, 0.8, 0.6), 1), ("head", "upperneck", (0, 1, 0), 1.5)),
    *(("lclavicle", "thorax", (1, 0, 0), 3), ("lhumerus", "lclavicle", (1, 0, 0), 5)),
    *(("lradius", "lhumerus", (1, 0, 0), 4), ("rclavicle", "thorax", (-1, 0, 0), 3)),
    *(("rhumerus", "rclavicle", (-1, 0, 0), 5), ("rradius", "rhumerus", (-1, 0, 0), 4)),
)
UNIT_M = 0.0254 / 0.45
AXES = {"lhumerus": (0, 0, 30), "rhumerus": (10, 20, -30)}
DOF = {"lfemur": "rx ry rz", "ltibia": "rx", "lhumerus": "rx ry rz", "rhumerus": "rx ry rz"}


def asf() -> str:
    """The skeleton."""
    bones = "".join(
        f"  begin\n     id {number}\n     name {name}\n     direction {' '.join(map(str, direction))}\n"
        f"     length {length}\n     axis {' '.join(map(str, AXES.get(name, (0, 0, 0))))} XYZ\n"
        + (f"    dof {DOF[name]}\n    limits (-160.0 20.0)\n           (-70.0 70.0)\n" if name in DOF else "")
        + "  end\n"
        for number, (name, _, direction, length) in enumerate(BONES, 1)
    )
    hierarchy = "".join(f"    {parent} {name}\n" for name, parent, _, _ in BONES)
    return (
        "# an invented person\n:version 1.10\n:name SOMEBODY\n:units\n  mass 1.0\n  length 0.45\n  angle deg\n"
        ":documentation\n   made for a test\n:root\n   order TX TY TZ RX RY RZ\n   axis XYZ\n   position 0 0 0\n"
        f"   orientation 0 0 0\n:bonedata\n{bones}:hierarchy\n  begin\n{hierarchy}  end\n"
    )


def amc(*frames: Mapping[str, tuple[float, ...]]) -> str:
    """A motion: in each frame the given bones are moved, and the others rest."""
    resting = {"root": (0, 17, 0, 0, 0, 0)} | {name: (0,) * len(dof.split()) for name, dof in DOF.items()}
    text = "#!OML:ASF\n:FULLY-SPECIFIED\n:DEGREES\n"
    for number, frame in enumerate(frames, 1):
        moved = {**resting, **frame}
        text += f"{number}\n" + "".join(f"{name} {' '.join(map(str, values))}\n" for name, values in moved.items())
    return text
