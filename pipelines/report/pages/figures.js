/* Figures stand side by side once all of them are there: charts take the room they then have. */
"use strict";
const fitting = new ResizeObserver((entries) => {
  for (const { target } of entries) if (target.classList.contains("js-plotly-plot")) Plotly.Plots.resize(target);
});
for (const chart of document.querySelectorAll(".chart")) fitting.observe(chart);
