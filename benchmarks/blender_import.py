"""What Blender makes of BVH files: for each, when the person begins to move, how low feet are and how trunks lean.

In an environment of its own (`pip install bpy`): `python benchmarks/blender_import.py poses/bvh/*.bvh`. Prints a JSON
line a file. Blender's axes: z up.
"""

import json
import math
import sys

import bpy  # pyright: ignore[reportMissingImports]


def main(files: list[str]) -> None:
    """Import each file as its menu does, and look at the armature in every frame of its action."""
    import addon_utils  # pyright: ignore[reportMissingImports]  # here: bpy brings it

    addon_utils.enable("io_anim_bvh")
    for file in files:
        bpy.ops.import_anim.bvh(filepath=file, update_scene_fps=True)
        armature, scene = bpy.context.object, bpy.context.scene
        fps = scene.render.fps / scene.render.fps_base
        first, last = (int(frame) for frame in armature.animation_data.action.frame_range)
        starts_s, feet_m, leans_deg, before = None, [], [], None
        for frame in range(first, last + 1):
            scene.frame_set(frame)
            places = {name: armature.matrix_world @ bone.head for name, bone in armature.pose.bones.items()}
            feet_m.append(min(places["left_ankle"].z, places["right_ankle"].z))
            trunk = (places["head"] - places["pelvis"]).normalized()
            leans_deg.append(math.degrees(math.acos(min(1.0, trunk.z))))
            if starts_s is None and before is not None and (places["pelvis"] - before).length > 1e-4:
                starts_s = (frame - 1 - first) / fps
            before = places["pelvis"]
        result = {"file": file, "fps": round(fps, 3), "frames": last - first + 1, "moves_from_s": starts_s}
        result |= {"feet_m": [round(min(feet_m), 3), round(max(feet_m), 3)], "lean_deg": round(max(leans_deg), 2)}
        print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
