/* A chart is drawn before its neighbours are in the page and so is too wide; it is resized when its room changes. */
"use strict";
const fitting = new ResizeObserver((entries) => {
  for (const { target } of entries) if (target.classList.contains("js-plotly-plot")) Plotly.Plots.resize(target);
});
for (const chart of document.querySelectorAll(".chart")) fitting.observe(chart);
