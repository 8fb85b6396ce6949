/* Charts in the page's colours; they are redrawn when the reader switches between light and dark. */
"use strict";
const raylift = {
  /* The data that `json_script` of document.py wrote under a name. */
  read(name) {
    return JSON.parse(document.getElementById(name).textContent);
  },

  /* A colour of page.css, such as "accent". */
  colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  },

  /* Plotly's layout, with whatever it does not set taken from the page. */
  themed(layout) {
    const line = raylift.colour("line");
    const plain = { gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true };
    const themed = {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: raylift.colour("text") },
      colorway: [1, 2, 3, 4, 5, 6].map((n) => raylift.colour(`series-${n}`)),
      margin: { l: 56, r: 16, t: layout.title ? 44 : 16, b: 44 },
      hoverlabel: { bgcolor: raylift.colour("panel"), font: { color: raylift.colour("text") }, bordercolor: line },
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
      ...layout,
    };
    const axes = new Set(["xaxis", "yaxis", ...Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key))]);
    for (const axis of axes) themed[axis] = { ...plain, ...layout[axis] };
    return themed;
  },

  /* Draws the chart that `chart` of document.py wrote under a name, and redraws it when the colours change. */
  chart(name) {
    const { traces, layout } = raylift.read(`${name}-data`);
    const element = document.getElementById(name);
    const draw = () =>
      Plotly.react(name, traces, raylift.themed(layout), { displaylogo: false, displayModeBar: false });
    /* Charts are drawn while the page is read: what follows may leave them less room, and so may a narrower window. */
    new ResizeObserver(() => element.clientWidth && Plotly.Plots.resize(element)).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    return draw();
  },
};
