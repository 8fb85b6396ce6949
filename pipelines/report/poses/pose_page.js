/* The player, which keeps the video, the skeletons, the slider and the cursor at the same frame. */
"use strict";

/* Advances frames by the video's clock, or by its own if there is no video. */
class Player {
  constructor(times, onFrame, onState) {
    Object.assign(this, { times, onFrame, onState, frame: 0, playing: false, speed: 1 });
    /* `seeking`: the video is seeking; `target`: the frame to seek next, after that. */
    Object.assign(this, { video: null, seeking: false, target: null, generation: 0 });
  }

  /* Attach a video whose first frame is the first of the timeline. */
  follow(video) {
    this.video = video;
    video.addEventListener("seeked", () => {
      this.seeking = false;
      if (this.target !== null) this.seekVideo(this.target);
    });
    video.addEventListener("ended", () => this.playing && this.finish());
  }

  /* Continue without the video. */
  leave() {
    this.video = null;
    this.pause();
  }

  frameAt(time) {
    let [low, high] = [0, this.times.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.times[middle] <= time + 5e-4) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  seek(frame) {
    this.show(Math.min(this.times.length - 1, Math.max(0, frame)));
    this.clock = this.times[this.frame];
    if (this.video) this.seekVideo(this.frame);
  }

  /* Seeks to the middle of a frame's time, because rounding could lead to the neighbour at its edge. Only one seek runs
     at a time; of the requests made meanwhile, the last one counts. */
  seekVideo(frame) {
    this.target = this.seeking ? frame : null;
    if (this.seeking) return;
    this.seeking = true;
    const from = this.times[frame];
    const to = this.times[frame + 1] ?? from + 0.01;
    this.video.currentTime = (from + to) / 2;
  }

  show(frame) {
    this.frame = frame;
    this.onFrame(frame);
  }

  setSpeed(speed) {
    this.speed = speed;
    if (this.video) this.video.playbackRate = speed;
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  async play() {
    if (this.frame >= this.times.length - 1) this.seek(0);
    this.playing = true;
    this.onState(true);
    const generation = ++this.generation;
    if (!this.video) return this.tick(generation);
    this.video.playbackRate = this.speed;
    this.watch(generation);
    try {
      await this.video.play();
    } catch (error) {
      if (error.name !== "AbortError") this.pause(); /* AbortError: paused before the video started */
    }
  }

  pause() {
    this.playing = false;
    this.generation++;
    this.video?.pause();
    this.onState(false);
    /* The video may have run on a little: move it back to the frame that is shown. */
    if (this.video && !this.video.ended) this.seekVideo(this.frame);
  }

  finish() {
    this.show(this.times.length - 1);
    this.pause();
  }

  /* Show the frame that belongs to each picture of the video. */
  watch(generation) {
    const { video } = this;
    const next = (time) => {
      if (generation !== this.generation || !this.video) return;
      if (!this.seeking) this.show(this.frameAt(time));
      this.watch(generation);
    };
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback((_, { mediaTime }) => next(mediaTime));
    else requestAnimationFrame(() => next(video.currentTime));
  }

  /* Without a video: advance by the time that has passed. */
  tick(generation) {
    this.clock = this.times[this.frame];
    let before = performance.now();
    const step = (now) => {
      if (generation !== this.generation) return;
      this.clock += (Math.max(0, now - before) / 1000) * this.speed;
      before = now;
      if (this.clock >= this.times.at(-1)) return this.finish();
      const frame = this.frameAt(this.clock);
      if (frame !== this.frame) this.show(frame);
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }
}

const byId = (id) => document.getElementById(id);

/* Attaches the video, if the page contains one that this browser can play. */
function loadVideo(player) {
  const clip = byId("clip");
  if (!clip) return;
  const video = document.querySelector("#picture video");
  video.addEventListener("error", () => {
    player.leave();
    video.hidden = true;
    byId("trouble").textContent = "This browser cannot play H.264 video; the skeletons are shown without it.";
    byId("trouble").hidden = false;
  });
  video.src = URL.createObjectURL(new Blob([bytesOf(clip.textContent)], { type: "video/mp4" }));
  clip.remove();
  video.hidden = false;
  player.follow(video);
}

function listen(player, picture, curves, space) {
  byId("play").addEventListener("click", () => player.toggle());
  byId("back").addEventListener("click", () => step(-1));
  byId("forward").addEventListener("click", () => step(1));
  byId("view").addEventListener("click", () => space.reset());
  byId("slider").addEventListener("input", (event) => player.seek(Number(event.target.value)));
  byId("speed").addEventListener("change", (event) => player.setSpeed(Number(event.target.value)));
  byId("person").addEventListener("change", (event) => {
    curves.person = curves.scene.people[Number(event.target.value)];
    curves.draw();
  });
  byId("group").append(...curves.person.curves.map(({ name }, i) => new Option(name, i)));
  byId("group").addEventListener("change", (event) => {
    curves.group = Number(event.target.value);
    curves.draw();
  });
  byId("projected").addEventListener("change", (event) => {
    picture.projected = event.target.checked;
    picture.show(picture.frame);
  });
  const curve = document.querySelector(".curve");
  const seek = (event) => player.seek(player.frameAt(curves.timeAt(event.clientX)));
  curve.addEventListener("pointerdown", (event) => {
    seek(event);
    const stop = () => removeEventListener("pointermove", seek);
    addEventListener("pointermove", seek);
    addEventListener("pointerup", stop, { once: true });
    addEventListener("pointercancel", stop, { once: true });
  });

  function step(frames) {
    player.pause();
    player.seek(player.frame + frames);
  }

  const second = (sign) => {
    const to = player.frameAt(player.times[player.frame] + sign);
    return to === player.frame ? sign : to - player.frame;
  };
  const keys = {
    " ": () => player.toggle(),
    ArrowLeft: (event) => step(event.shiftKey ? second(-1) : -1),
    ArrowRight: (event) => step(event.shiftKey ? second(1) : 1),
    Home: () => player.seek(0),
    End: () => player.seek(player.times.length - 1),
  };
  addEventListener("keydown", (event) => {
    const act = keys[event.key];
    const own = event.target.closest?.(event.key === " " ? "button, select" : "select");
    if (!act || own || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act(event);
  });
}

async function main() {
  const scene = await readScene();
  const picture = new Picture(document.querySelector("#picture canvas"), scene);
  const space = new Space(byId("space"), scene);
  const curves = new Curves(byId("curves"), byId("cursor"), scene);
  const now = document.createElement("b");
  const rest = document.createElement("span");
  byId("now").append("frame ", now, rest);

  const player = new Player(
    scene.times,
    (frame) => {
      picture.show(frame);
      space.show(frame);
      curves.show(frame);
      const time = (scene.times[frame] + scene.start_s).toFixed(2);
      const spoken = `frame ${frame + scene.first}, ${time} s`;
      now.textContent = frame + scene.first;
      const unseen = curves.person.isIn(frame) && curves.person.isInterpolated(frame);
      rest.textContent = ` of ${scene.first + scene.times.length - 1} · ${time} s${unseen ? " · interpolated" : ""}`;
      byId("slider").value = frame;
      byId("slider").setAttribute("aria-valuetext", spoken);
    },
    (playing) => {
      byId("play").classList.toggle("playing", playing);
      byId("play").setAttribute("aria-label", playing ? "Pause" : "Play");
    },
  );
  listen(player, picture, curves, space);
  loadVideo(player);
  const drawn = [space.draw(), curves.draw()];
  player.seek(0);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    space.draw();
    curves.draw();
  });
  await Promise.all(drawn);
  document.body.dataset.ready = "yes"; /* tests wait for this */
}

main();
