"""The actions of synthetic people. Each fills a `Take` with joint angles; `ACTIONS` is the table."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from pipelines.synthetic.gestures import Curve, Real, Take, between_poses, bump, rise

SIDES = (("left", 1), ("right", -1))


def _stride(take: Take, phase: Curve, hip: Real, hip_mean: Real, swing: Real, give: Real) -> None:
    # Joint angles over the gait cycle (0: this foot strikes the ground) after Perry, Gait Analysis: the knee yields
    # under load at 14 % and bends most at 72 %; the ankle pushes off at 60 % and lifts the toes at 80 %.
    for foot, (side, sign) in enumerate(SIDES):
        own = phase if sign > 0 else phase + np.pi
        take.flex(f"{side}_hip", hip_mean + hip * np.cos(own + 0.3))
        take.flex(f"{side}_knee", 5 + give * bump(own, 0.14, 0.07) + swing * bump(own, 0.72, 0.09))
        toes = 9 * bump(own, 0.43, 0.1) - 20 * bump(own, 0.6, 0.05) + 12 * bump(own, 0.82, 0.09)
        take.flex(f"{side}_ankle", toes)
        # The weight shifts between the feet while both are on the ground, around 5 % and 55 %.
        take.support[:, foot] = 1 / (1 + np.exp(-9 * np.sin(own - 0.3)))
        take.rotate(f"{side}_hip", 5)
    take.rotate("pelvis", -5 * np.cos(phase))
    take.rotate("spine", 9 * np.cos(phase))
    take.rotate("neck", -4 * np.cos(phase))


def _walk(take: Take) -> None:
    phase = take.phase(take.between(0.75, 0.95))
    arms, elbow = take.between(14, 28), take.between(12, 25)
    _stride(take, phase, hip=take.between(19, 25), hip_mean=5, swing=56, give=13)
    for side, sign in SIDES:
        take.flex(f"{side}_shoulder", -4 - sign * arms * np.cos(phase))
        take.flex(f"{side}_elbow", elbow - sign * 0.4 * arms * np.cos(phase))
        take.abduct(f"{side}_shoulder", 9)
    take.flex("pelvis", 2)
    _circle(take, take.between(54, 72))


def _jog(take: Take) -> None:
    phase = take.phase(take.between(1.25, 1.4))
    arms = take.between(25, 38)
    _stride(take, phase, hip=take.between(24, 29), hip_mean=14, swing=78, give=22)
    for side, sign in SIDES:
        take.flex(f"{side}_shoulder", -10 - sign * arms * np.cos(phase))
        take.flex(f"{side}_elbow", 85 - sign * 12 * np.cos(phase))
        take.abduct(f"{side}_shoulder", 12)
        take.rotate(f"{side}_shoulder", -12)
    take.flex("pelvis", 7)
    # Both feet leave the ground shortly before each strike.
    take.lift += 0.05 * bump(2 * phase, 0.86, 0.14)
    _circle(take, take.between(84, 104))


def _circle(take: Take, degrees_per_s: float) -> None:
    clockwise = -1 if take.rng.random() < 0.5 else 1
    take.head_for(clockwise * degrees_per_s)
    # The body leans into the curve.
    take.abduct("pelvis", clockwise * 0.04 * degrees_per_s)


def _wave(take: Take) -> None:
    take.stand()
    side, other = take.side()
    phase = take.phase(take.between(1.0, 1.7))
    start = take.between(0.2, 0.8)
    up = rise(take.time_s, start, 0.9)
    take.abduct(f"{side}_shoulder", up * take.between(55, 95))
    take.rotate(f"{side}_shoulder", up * (70 + 8 * np.sin(phase)))
    take.flex(f"{side}_elbow", up * (65 + 28 * np.sin(phase)))
    take.abduct("spine", (-4 if side == "left" else 4) * up)
    take.flex(f"{other}_elbow", take.between(0, 25))
    take.head_for(take.between(-25, 25), wander_deg=30)
    take.plant_feet()


def _squat(take: Take) -> None:
    take.stand()
    # The power makes the person stay at the top for a moment.
    depth = (0.5 - 0.5 * np.cos(take.phase(take.between(0.3, 0.45)))) ** 1.5 * take.between(0.75, 1)
    arms = take.between(60, 95)
    for side in ("left", "right"):
        take.abduct(f"{side}_hip", 5 + 12 * depth)
        take.flex(f"{side}_hip", 95 * depth)
        take.flex(f"{side}_knee", 108 * depth)
        take.flex(f"{side}_shoulder", arms * depth)
        take.flex(f"{side}_elbow", 5 - 8 * depth)
    take.flex("pelvis", 16 * depth)
    take.flex("spine", 14 * depth)
    take.flex("neck", -14 * depth)
    take.head_for(take.between(-20, 20), wander_deg=20)
    take.plant_feet()


def _reach(take: Take) -> None:
    take.stand()
    pace = take.between(1.3, 2.0)
    moments = np.arange(0, take.time_s[-1] + pace, pace)
    count = len(moments)

    def poses(low: Real, high: Real, busy: np.ndarray) -> Curve:
        return between_poses(take.time_s, moments, busy * take.rng.uniform(low, high, count), 0.75 * pace)

    low_down = take.rng.random(count) < 0.3
    everything = np.ones(count)
    for side, sign in SIDES:
        active = take.rng.random(count) < 0.6
        take.flex(f"{side}_shoulder", poses(50, 155, active & ~low_down) + poses(50, 75, low_down))
        take.abduct(f"{side}_shoulder", poses(0, 45, active))
        take.flex(f"{side}_elbow", poses(0, 40, everything))
        take.rotate("spine", -sign * poses(0, 22, active))
    take.flex("pelvis", poses(20, 32, low_down))
    take.flex("spine", poses(-6, 14, everything) + poses(10, 25, low_down))
    bend = poses(0, 18, everything) + poses(10, 45, low_down)
    for side in ("left", "right"):
        take.flex(f"{side}_hip", bend)
        take.flex(f"{side}_knee", 1.4 * bend)
    take.head_for(take.between(-20, 20), wander_deg=35)
    take.plant_feet()


def _box(take: Take) -> None:
    take.stand()
    front, back = take.side()
    sign = 1 if front == "left" else -1
    phase = take.phase(take.between(0.5, 0.7))
    jab, cross = bump(phase, 0.25, 0.06) + bump(phase, 0.45, 0.05), bump(phase, 0.75, 0.07)
    for side, punch in ((front, jab), (back, cross)):
        take.flex(f"{side}_shoulder", 30 + 55 * punch)
        take.rotate(f"{side}_shoulder", -20)
        take.flex(f"{side}_elbow", 105 - 100 * punch)
        take.flex(f"{side}_knee", 18 + 4 * np.sin(2 * phase))
    take.flex(f"{front}_hip", 24 + 2 * np.sin(2 * phase))
    take.flex(f"{back}_hip", -8 + 2 * np.sin(2 * phase))
    take.rotate("spine", sign * (-14 - 14 * jab + 34 * cross))
    take.rotate("neck", sign * (12 + 8 * jab - 24 * cross))
    take.flex("spine", 10 + 5 * (jab + cross))
    take.head_for(take.between(-30, 30), wander_deg=30)
    take.plant_feet()


def _sit(take: Take) -> None:
    take.stand()
    end = take.time_s[-1]
    down_at = min(take.between(0.4, 1.5), 0.15 * end)
    up_at = max(take.between(0.65, 0.85) * end, down_at + 2.5)
    down = rise(take.time_s, down_at, 1.5) - rise(take.time_s, up_at, 1.4)
    # While sitting down and standing up, the trunk leans forward over the feet.
    lean = 4 * down * (1 - down)
    for side in ("left", "right"):
        take.flex(f"{side}_hip", 84 * down + 8 * lean)
        take.flex(f"{side}_knee", 84 * down)
        take.flex(f"{side}_shoulder", 24 * down + 12 * lean)
        take.flex(f"{side}_elbow", 38 * down)
        take.rotate(f"{side}_shoulder", -14 * down)
        take.abduct(f"{side}_hip", 4 * down)
    take.flex("pelvis", 22 * lean - 4 * down)
    take.flex("spine", 18 * lean + 4 * down)
    take.rotate("neck", 22 * down * take.wander(0.3))
    take.rotate("pelvis", take.between(0, 360))
    take.seated = down
    take.plant_feet()


def _turn(take: Take) -> None:
    take.stand()
    phase = take.phase(take.between(0.8, 1.0))
    for side, sign in SIDES:
        step = bump(phase if sign > 0 else phase + np.pi, 0.5, 0.11)
        take.flex(f"{side}_hip", 30 * step)
        take.flex(f"{side}_knee", 52 * step)
        take.flex(f"{side}_shoulder", -sign * 10 * np.cos(phase))
    take.plant_feet()
    _circle(take, take.between(60, 85))


def _jump(take: Take) -> None:
    take.stand()
    phase = take.phase(take.between(0.42, 0.52))
    # Crouch at a quarter of the cycle, flight at 45 %, and a softer landing.
    crouch = bump(phase, 0.27, 0.065) + 0.75 * bump(phase, 0.60, 0.06)
    flight = bump(phase, 0.435, 0.045)
    for side in ("left", "right"):
        take.flex(f"{side}_hip", 72 * crouch)
        take.flex(f"{side}_knee", 85 * crouch + 12 * flight)
        take.flex(f"{side}_shoulder", -45 * bump(phase, 0.25, 0.06) + 135 * bump(phase, 0.43, 0.08))
        take.flex(f"{side}_elbow", 15 * crouch)
    take.flex("pelvis", 18 * crouch)
    take.flex("spine", 14 * crouch - 4 * flight)
    take.plant_feet()
    for side in ("left", "right"):
        take.flex(f"{side}_ankle", -32 * flight)
    take.lift += take.between(0.16, 0.28) * flight
    take.head_for(take.between(-25, 25), wander_deg=20)


ACTIONS: Mapping[str, Callable[[Take], None]] = MappingProxyType(
    {
        "walk": _walk,
        "jog": _jog,
        "wave": _wave,
        "squat": _squat,
        "reach": _reach,
        "box": _box,
        "sit": _sit,
        "turn": _turn,
        "jump": _jump,
    }
)
