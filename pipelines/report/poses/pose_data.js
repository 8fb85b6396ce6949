/* Unpacks the arrays that packing.py wrote, and gives the joints and keypoints of a person in a frame. */
"use strict";
/* Stands for a value of a curve that is not known. */
const MISSING = -(2 ** 31);
const ARRAYS = { uint8: Uint8Array, int16: Int16Array, int32: Int32Array };

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/* Undoes `pack` of packing.py, which stores bytes by plane, channel and frame, each the difference to the frame before. */
async function unpack({ type, shape, data }) {
  const inflated = new Blob([bytesOf(data)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(inflated).arrayBuffer());
  const count = shape.reduce((a, b) => a * b, 1);
  const frames = shape[0];
  const channels = frames ? count / frames : 0;
  const values = new ARRAYS[type](count);
  for (let channel = 0; channel < channels; channel++) {
    for (let frame = 0, value = 0; frame < frames; frame++) {
      const at = channel * frames + frame;
      for (let byte = 0; byte < values.BYTES_PER_ELEMENT; byte++) value += planes[byte * count + at] * 2 ** (8 * byte);
      values[frame * channels + channel] = value; /* overflows, which undoes the overflow of the differences */
    }
  }
  return values;
}

/* One person of the scene; frame numbers count from the start of the timeline. */
class Person {
  static async read(packed, scene) {
    const person = new Person();
    const names = ["positions", "roots", "keypoints", "scores", "interpolated"];
    const arrays = await Promise.all(names.map((name) => unpack(packed[name])));
    Object.assign(person, packed, Object.fromEntries(names.map((name, i) => [name, arrays[i]])));
    person.scene = scene;
    person.sides = person.joint_names.map((_, joint) => person.bones.find(([child]) => child === joint)?.[2] ?? "centre");
    person.frames = arrays[1].length / 3;
    person.seen = packed.seen && (await unpack(packed.seen));
    person.projected = packed.projected && (await unpack(packed.projected));
    for (const line of packed.curves.flatMap(({ rows }) => rows).flatMap(({ lines }) => lines))
      line.values = Array.from(await unpack(line.values), (value) => (value === MISSING ? null : value * line.unit));
    return person;
  }

  isIn(frame) {
    return frame >= this.start && frame < this.start + this.frames;
  }

  isInterpolated(frame) {
    return this.interpolated[frame - this.start] === 1;
  }

  /* Whether the keypoints that tell where a joint is were seen; otherwise its place is a guess. */
  isSeen(frame, joint) {
    return !this.seen || this.seen[(frame - this.start) * this.joints3d + joint] === 1;
  }

  /* [x, y, z] of every joint, m. */
  joints(frame) {
    const at = frame - this.start;
    const size = this.joints3d * 3;
    return Array.from({ length: this.joints3d }, (_, joint) =>
      [0, 1, 2].map(
        (axis) =>
          (this.positions[at * size + joint * 3 + axis] + this.roots[at * 3 + axis]) * this.scene.position_m,
      ),
    );
  }

  /* [x, y] of every lifted joint in the picture, as fractions of the image's longer side; null if that is unknown. */
  projections(frame) {
    if (!this.projected) return null;
    const first = (frame - this.start) * this.joints3d;
    return this.joint_names.map((_, joint) =>
      [0, 1].map((axis) => this.projected[2 * (first + joint) + axis] * this.scene.keypoint_share),
    );
  }

  get joints3d() {
    return this.joint_names.length;
  }

  get joints2d() {
    return this.scores.length / Math.max(1, this.frames);
  }

  /* [x, y, score] of every keypoint; x and y are fractions of the image's longer side. */
  points(frame) {
    const first = (frame - this.start) * this.joints2d;
    return Array.from({ length: this.joints2d }, (_, joint) => {
      const at = first + joint;
      const share = this.scene.keypoint_share;
      return [this.keypoints[2 * at] * share, this.keypoints[2 * at + 1] * share, this.scores[at] / 255];
    });
  }
}

/* The scene that pose_page.py wrote, with its arrays unpacked. */
async function readScene() {
  const scene = raylift.read("scene");
  const units = await unpack(scene.times);
  scene.times = Float64Array.from(units, (value) => value * scene.time_s); /* s since the first frame */
  scene.people = await Promise.all(scene.people.map((packed) => Person.read(packed, scene)));
  return scene;
}
