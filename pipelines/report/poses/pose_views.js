/* The three views of a frame: 2D skeletons over the picture, 3D skeletons, and curves over time. */
"use strict";
const SIDES = ["left", "right", "centre"];

/* 2D skeletons on a canvas that covers the video. */
class Picture {
  constructor(canvas, scene) {
    Object.assign(this, { canvas, scene, frame: 0, projected: false });
    new ResizeObserver(() => this.show(this.frame)).observe(canvas);
  }

  show(frame) {
    this.frame = frame;
    const { canvas } = this;
    const ratio = devicePixelRatio || 1;
    const { width, height } = canvas.getBoundingClientRect();
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const context = canvas.getContext("2d");
    context.lineCap = "round";
    const longer = Math.max(canvas.width, canvas.height);
    const people = this.scene.people.filter((person) => person.isIn(frame));
    for (const person of people) this.draw(context, person, frame, longer);
    if (this.projected) for (const person of people) this.project(context, person, frame, longer);
  }

  /* The lifted joints as thin white bones where the camera would see them. */
  project(context, person, frame, longer) {
    const points = person.projections(frame)?.map(([x, y]) => [x * longer, y * longer]);
    if (!points) return;
    context.setLineDash([]);
    context.globalAlpha = 1;
    for (const [colour, width] of [["#000", longer / 200], ["#fff", longer / 420]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      for (const [child, parent] of person.bones) {
        context.moveTo(...points[child]);
        context.lineTo(...points[parent]);
      }
      context.stroke();
    }
  }

  draw(context, person, frame, longer) {
    const points = person.points(frame).map(([x, y, score]) => [x * longer, y * longer, score]);
    const unseen = person.isInterpolated(frame);
    const width = Math.max(1.5, longer / 170);
    /* Low scores are faint; interpolated people are dashed. */
    const faint = (score) => (unseen ? 0.55 : 0.25 + 0.75 * Math.min(1, score / 0.5));
    context.setLineDash(unseen ? [2 * width, 2 * width] : []);
    for (const rim of [true, false]) {
      for (const [child, parent, side] of person.image_bones) {
        const [a, b] = [points[child], points[parent]];
        context.globalAlpha = faint(Math.min(a[2], b[2])) * (rim ? 0.6 : 1);
        context.strokeStyle = rim ? "#000" : COLOURS[side];
        context.lineWidth = rim ? width * 1.8 : width;
        context.beginPath();
        context.moveTo(a[0], a[1]);
        context.lineTo(b[0], b[1]);
        context.stroke();
      }
    }
    for (const [x, y, score] of points) {
      context.globalAlpha = faint(score);
      context.fillStyle = "#fff";
      context.beginPath();
      context.arc(x, y, width * 0.75, 0, 2 * Math.PI);
      context.fill();
    }
    if (this.scene.people.length > 1) this.label(context, person, points, width);
  }

  label(context, person, points, width) {
    const [x, y] = points.reduce((top, point) => (point[1] < top[1] ? point : top));
    context.globalAlpha = 1;
    context.font = `600 ${Math.round(width * 5)}px ${getComputedStyle(document.body).fontFamily}`;
    context.textAlign = "center";
    context.setLineDash([]);
    context.lineWidth = width;
    context.strokeStyle = "#000";
    context.fillStyle = "#fff";
    context.strokeText(person.name, x, y - width * 3);
    context.fillText(person.name, x, y - width * 3);
  }
}

/* Colours over a video, which do not depend on the page's light or dark scheme. */
const COLOURS = { left: "#3fa2ff", right: "#ff8a30", centre: "#e8edf2" };

/* 3D skeletons drawn by Plotly; from frame to frame only their points are updated. */
class Space {
  constructor(element, scene) {
    Object.assign(this, { element, scene, frame: 0, pending: null, busy: Promise.resolve() });
    const { low, high } = scene.stage;
    const size = low.map((value, axis) => high[axis] - value);
    this.aspect = size.map((side) => side / Math.max(...size));
  }

  /* Draw everything from scratch in the page's current colours, with the camera in its initial place. */
  draw() {
    const colour = raylift.colour;
    const { low, high } = this.scene.stage;
    const range = (axis) => ({ visible: false, range: [low[axis], high[axis]], autorange: false });
    const [x, y, z] = this.aspect;
    const layout = {
      ...raylift.themed({ margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: false }),
      scene: {
        xaxis: range(0), yaxis: range(1), zaxis: { ...range(2), range: [low[2] - 0.05, high[2]] },
        aspectmode: "manual", aspectratio: { x, y, z }, dragmode: "turntable",
        camera: this.camera(), annotations: [],
      },
    };
    const lines = (name, width) => ({
      type: "scatter3d", mode: "lines", name, x: [], y: [], z: [], hoverinfo: "skip",
      line: { width, color: colour(name) },
    });
    const joints = {
      type: "scatter3d", mode: "markers", name: "joints", x: [], y: [], z: [], text: [],
      marker: { size: 5, opacity: 1 }, hovertemplate: "%{text}<extra></extra>",
    };
    const moving = [lines("shadow", 5), ...SIDES.map((side) => lines(side, 9)), lines("muted", 2), joints];
    const traces = [...this.ground(), ...moving];
    this.moving = moving.map((_, i) => traces.length - moving.length + i);
    this.drawn = Plotly.react(this.element, traces, layout, { responsive: true, displayModeBar: false });
    return this.drawn.then(() => this.show(this.frame));
  }

  /* A view from a little above and to the left of the video's camera, as near as possible with the whole stage in sight. */
  camera() {
    const reach = 0.55 + 0.62 * Math.hypot(...this.aspect);
    const towards = [-0.5, -1, 0.34];
    const length = Math.hypot(...towards);
    const [x, y, z] = towards.map((part) => (part / length) * reach);
    return { eye: { x, y, z }, center: { x: 0, y: 0, z: -0.04 }, up: { x: 0, y: 0, z: 1 } };
  }

  reset() {
    return Plotly.relayout(this.element, { "scene.camera": this.camera() });
  }

  ground() {
    const { low, high, cell_m: cell } = this.scene.stage;
    const [x, y, z] = [[], [], []];
    const line = (from, to) => {
      x.push(from[0], to[0], null);
      y.push(from[1], to[1], null);
      z.push(low[2], low[2], null);
    };
    for (let at = low[0]; at <= high[0] + 1e-6; at += cell) line([at, low[1]], [at, high[1]]);
    for (let at = low[1]; at <= high[1] + 1e-6; at += cell) line([low[0], at], [high[0], at]);
    const corners = [[low[0], high[0], high[0], low[0]], [low[1], low[1], high[1], high[1]], Array(4).fill(low[2] - 0.01)];
    return [
      {
        type: "mesh3d", x: corners[0], y: corners[1], z: corners[2], i: [0, 0], j: [1, 2], k: [2, 3],
        color: raylift.colour("ground"), opacity: 0.2, hoverinfo: "skip",
      },
      { type: "scatter3d", mode: "lines", x, y, z, hoverinfo: "skip", line: { width: 2, color: raylift.colour("ground") } },
    ];
  }

  /* Show a frame. While one is being drawn, only the latest request is kept. */
  show(frame) {
    this.frame = frame;
    if (this.pending !== null) {
      this.pending = frame;
      return this.busy;
    }
    this.pending = frame;
    this.busy = this.catchUp();
    return this.busy;
  }

  async catchUp() {
    await this.drawn;
    for (let shown = null; shown !== this.pending; ) {
      shown = this.pending;
      await Plotly.update(this.element, this.points(shown), this.labels(shown), this.moving);
    }
    this.pending = null;
  }

  points(frame) {
    const axes = () => ({ x: [], y: [], z: [], text: [] });
    const traces = Object.fromEntries(["shadow", ...SIDES, "muted", "joints"].map((name) => [name, axes()]));
    const colours = [];
    const add = (name, [x, y, z], text) => {
      const trace = traces[name];
      trace.x.push(x);
      trace.y.push(y);
      trace.z.push(z);
      trace.text.push(text);
    };
    const gap = [null, null, null];
    const ground = this.scene.stage.low[2] + 0.01; /* slightly above the squares, which would otherwise hide parts of the shadow */
    for (const person of this.scene.people.filter((one) => one.isIn(frame))) {
      const joints = person.joints(frame);
      for (const [child, parent, side] of person.bones) {
        const name = person.isSeen(frame, child) && person.isSeen(frame, parent) ? side : "muted";
        for (const joint of [joints[child], joints[parent]]) {
          add(name, joint);
          add("shadow", [joint[0], joint[1], ground]);
        }
        add(name, gap);
        add("shadow", gap);
      }
      joints.forEach((joint, i) => {
        if (!person.isSeen(frame, i)) return;
        add("joints", joint, `${person.name}, ${person.joint_names[i]}`);
        colours.push(raylift.colour(person.sides[i]));
      });
    }
    const all = Object.values(traces);
    const moved = Object.fromEntries(["x", "y", "z", "text"].map((name) => [name, all.map((trace) => trace[name])]));
    return { ...moved, "marker.color": all.map((trace) => (trace === traces.joints ? colours : undefined)) };
  }

  /* Names above the heads, if there are several people. */
  labels(frame) {
    if (this.scene.people.length === 1) return {};
    const annotations = this.scene.people.filter((person) => person.isIn(frame)).map((person) => {
      const [x, y, z] = person.joints(frame).reduce((high, joint) => (joint[2] > high[2] ? joint : high));
      return { x, y, z, text: person.name, showarrow: false, yshift: 14, font: { size: 12.5 } };
    });
    return { "scene.annotations": annotations };
  }
}

/* One group of a person's curves over time, a row for each quantity. */
class Curves {
  constructor(element, cursor, scene) {
    Object.assign(this, { element, cursor, scene, person: scene.people[0], group: 0 });
  }

  draw() {
    const { person, scene } = this;
    const { rows } = person.curves[this.group];
    const times = Array.from(scene.times.subarray(person.start, person.start + person.frames), (t) => t + scene.start_s);
    const end = scene.start_s + Math.max(scene.times.at(-1), 1e-3);
    const layout = {
      height: rows.length * 62 + 30,
      margin: { l: 56, r: 16, t: 4, b: 26 },
      showlegend: false, dragmode: false, hovermode: "x",
      xaxis: { anchor: rows.length > 1 ? `y${rows.length}` : "y", range: [scene.start_s, end], fixedrange: true, ticksuffix: " s", automargin: false, showgrid: false },
      annotations: [],
    };
    const traces = [this.unseen(times, rows.length + 1)];
    layout[`yaxis${rows.length + 1}`] = { domain: [0, 1], range: [0, 1], visible: false, fixedrange: true };
    rows.forEach(({ title, range, lines }, i) => {
      const axis = i ? `y${i + 1}` : "y";
      const top = 1 - i / rows.length;
      for (const { side, values } of lines) {
        traces.push({
          x: times, y: values, yaxis: axis, mode: "lines", hovertemplate: `%{y:.3g} ${side}<extra></extra>`,
          line: { width: 1.4, color: raylift.colour(side || "accent") },
        });
      }
      layout[`yaxis${i ? i + 1 : ""}`] = {
        domain: [top - 1 / rows.length + 0.02, top - 0.1], fixedrange: true, nticks: 3, automargin: false,
        zeroline: false, ...(range ? { range } : { rangemode: "tozero" }),
      };
      layout.annotations.push({
        text: title, showarrow: false, xref: "paper", yref: "paper", x: 0, y: top + 0.01, xanchor: "left", yanchor: "top",
        font: { size: 12, color: raylift.colour("muted") },
      });
    });
    const config = { responsive: true, displayModeBar: false };
    return Plotly.react(this.element, traces, raylift.themed(layout), config);
  }

  /* Shaded areas behind all rows for the frames in which the person is interpolated. */
  unseen(times, axis) {
    const [x, y] = [[], []];
    const marks = this.person.interpolated;
    for (let from = 0; from < marks.length; from++) {
      if (!marks[from]) continue;
      let to = from;
      while (marks[to + 1]) to++;
      const [left, right] = [times[from], times[Math.min(to + 1, times.length - 1)]];
      x.push(left, left, right, right, null);
      y.push(0, 1, 1, 0, null);
      from = to;
    }
    return {
      x, y, yaxis: `y${axis}`, mode: "lines", fill: "toself", line: { width: 0 }, hoverinfo: "skip", name: "unseen",
      fillcolor: raylift.colour("shade"),
    };
  }

  show(frame) {
    const share = this.scene.times[frame] / Math.max(this.scene.times.at(-1), 1e-3);
    this.cursor.style.left = `calc(56px + ${share} * (100% - 72px))`;
  }

  /* The time at a horizontal position of the pointer, s since the first frame. */
  timeAt(clientX) {
    const { left, width } = this.element.getBoundingClientRect();
    return Math.min(1, Math.max(0, (clientX - left - 56) / (width - 72))) * this.scene.times.at(-1);
  }
}
