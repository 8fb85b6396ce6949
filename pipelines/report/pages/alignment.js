/* Plays the reference and the recording that is in step with it. */
"use strict";
(() => {
  const { bones, reference, recording } = raylift.read("step");
  const slider = document.getElementById("time"), button = document.getElementById("play");
  const clock = document.getElementById("clock");
  let timer = null;

  const draw = (name, pose) => {
    const lines = bones.map(([child, parent, side]) => {
      const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
      line.setAttribute("class", side);
      [["x1", pose[child][0]], ["y1", pose[child][1]], ["x2", pose[parent][0]], ["y2", pose[parent][1]]]
        .forEach(([key, value]) => line.setAttribute(key, value));
      return line;
    });
    document.getElementById(name).replaceChildren(...lines);
  };

  const show = () => {
    const frame = Number(slider.value);
    draw("reference", reference.poses[frame]);
    draw("recording", recording.poses[frame]);
    clock.textContent = `${reference.times[frame].toFixed(2)} s, ${recording.times[frame].toFixed(2)} s`;
  };

  const stop = () => {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
  };

  button.addEventListener("click", () => {
    if (timer) return stop();
    button.textContent = "Pause";
    timer = setInterval(() => {
      slider.value = (Number(slider.value) + 1) % reference.times.length;
      show();
    }, 1000 / 15);
  });
  slider.addEventListener("input", show);
  show();
})();
