// Curves, drawn by uPlot. data-curves names a JSON address: {"series": [{"label", "x", "t", "y"}], "live": bool} of one run, or
// {"curves": [{"run_id", "name", "steps", "moments", "values", "total"}], "running": bool} of many; values are numbers or "NaN".
(() => {
  "use strict";
  const { $, $$, css, remember, recall } = tilth;
  const view = { smooth: 0, log: false, axis: "step", ...recall("curves", {}) };
  const COLOURS = 8, NAMED = 8;
  const shown = (v) => (v === null || v === undefined ? "" : Number(v.toPrecision(5)).toString());
  const span = (s) => (s >= 7200 ? `${+(s / 3600).toFixed(1)} h` : s >= 120 ? `${+(s / 60).toFixed(1)} min` : `${+s.toFixed(1)} s`);

  const seriesOf = (data) => data.curves.map((c) => ({ id: c.run_id, label: c.name, x: c.steps, t: c.moments, y: c.values, total: c.total }));
  const smoothed = (ys, weight) => {
    let last = null;
    return ys.map((y) => (y === null ? y : (last = last === null ? y : last * weight + y * (1 - weight))));
  };
  // The x of each point on the axis that the reader chose: steps, seconds since 1970, or seconds since the run's first point.
  const placesOf = (s) => {
    if (view.axis === "step") return s.x;
    const first = s.start ?? Math.min(...s.t);
    s.start = first;
    return s.t.map((t) => (view.axis === "time" ? t : t - first) / 1000);
  };
  const table = (s) => {
    const xs = placesOf(s), order = xs.map((_, i) => i);
    if (view.axis !== "step") order.sort((a, b) => xs[a] - xs[b]);
    return [order.map((i) => xs[i]), order.map((i) => (typeof s.y[i] === "number" && !(view.log && s.y[i] <= 0) ? s.y[i] : null))];
  };
  const colourOf = (box, s, i) => (box.colour && box.colour(s, i)) || css(`--plot-${(i % COLOURS) + 1}`);

  const draw = (box) => {
    const series = box.data.series;
    if (box.plot) box.plot.destroy();
    box.plot = null;
    box.replaceChildren();
    if (!series.length) {
      box.append(Object.assign(document.createElement("p"), { className: "dim small", textContent: "None of these runs has a curve of this metric." }));
      return;
    }
    const weight = view.smooth / 100, few = series.length <= NAMED, raw = weight > 0 && few;
    const plain = series.map(table);
    const drawn = weight ? plain.map(([xs, ys]) => [xs, smoothed(ys, weight)]) : plain;
    const aligned = uPlot.join(raw ? [...drawn, ...plain] : drawn);
    const axis = { stroke: css("--ink-3"), grid: { stroke: css("--grid"), width: 1 }, ticks: { show: false }, font: "11px Inter, sans-serif" };
    const readout = few ? null : Object.assign(document.createElement("p"), { className: "readout", textContent: `${series.length} runs: point at a curve to see its name` });
    const line = (s, i, faint) => ({
      label: s.label, stroke: colourOf(box, s, i), width: faint ? 1 : few ? 1.8 : 1.3, alpha: faint ? 0.25 : 1, spanGaps: true,
      dash: few || box.colour || i < COLOURS ? undefined : [6, 4], points: { show: !faint && s.y.length < 3, size: 6 }, value: (_, v) => shown(v),
    });
    box.plot = new uPlot({
      width: Math.max(box.clientWidth - 20, 120), height: Number(box.dataset.height) || 190,
      legend: { show: few }, focus: { alpha: few ? 1 : 0.18 },
      cursor: { points: { size: 6 }, drag: { x: true, y: false, setScale: false }, focus: { prox: few ? -1 : 24 } },
      scales: { x: { time: view.axis === "time", ...(box.range ? { range: () => box.range } : {}) }, y: { distr: view.log ? 3 : 1 } },
      axes: [{ ...axis, size: 28, ...(view.axis === "relative" ? { values: (_, ticks) => ticks.map(span) } : {}) }, { ...axis, size: 50 }],
      series: [{ label: view.axis }, ...series.map((s, i) => line(s, i, false)), ...(raw ? series.map((s, i) => line(s, i, true)) : [])],
      hooks: {
        setSelect: [(plot) => {
          if (plot.select.width < 6) return;
          const range = [plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x")];
          // Once uPlot is through with the mouse: a drawing that goes in the middle of it would hear every later click.
          setTimeout(() => zoom(box, range));
        }],
        setSeries: [(plot, i) => {
          if (readout && i) readout.textContent = `${series[i - 1].label}: ${shown(plot.data[i][plot.cursor.idx])} at ${view.axis === "relative" ? span(plot.data[0][plot.cursor.idx] || 0) : shown(plot.data[0][plot.cursor.idx])}`;
        }],
      },
    }, aligned, box);
    if (few && raw) $$(".u-legend .u-series", box).slice(1 + series.length).forEach((row) => row.remove());
    if (readout) box.append(readout);
    box.classList.toggle("zoomed", Boolean(box.range));
    // Two clicks are counted on the box, which stays while the drawing in it is replaced between them.
    box.onpointerup = (event) => {
      const twice = event.timeStamp - (box.clicked || -1000) < 350;
      box.clicked = event.timeStamp;
      if (twice && box.range) zoom(box, null);
    };
    if (box.range) {
      const all = Object.assign(document.createElement("button"), { type: "button", className: "button slim whole", textContent: "Show all steps" });
      all.addEventListener("click", () => zoom(box, null));
      box.append(all);
    }
  };

  // A part of a long curve is asked for again: of 2,000 kept points a hundredth of the range would show twenty.
  const zoom = (box, range) => {
    box.range = range;
    if (!range) { box.finer = null; box.data = box.whole || box.data; draw(box); return; }
    const inside = box.data.series.flatMap((s) => { const xs = placesOf(s); return s.x.filter((_, i) => xs[i] >= range[0] && xs[i] <= range[1]); });
    const thinned = (box.whole || box.data).series.some((s) => (s.total || 0) > s.x.length);
    draw(box);
    if (!thinned || !inside.length) return;
    let low = Infinity, high = -Infinity;
    for (const step of inside) { low = Math.min(low, step); high = Math.max(high, step); }
    box.finer = `&from_step=${view.axis === "step" ? Math.floor(range[0]) : low}&to_step=${view.axis === "step" ? Math.ceil(range[1]) : high}`;
    load(box);
  };

  const load = async (box) => {
    if (!box.dataset.curves) return;
    // Moments are half of the bytes, and only two of the three axes need them.
    const address = () => box.dataset.curves + (box.finer || "") + (view.axis === "step" ? "&moments=false" : "");
    const asked = address();
    let data;
    try {
      const answer = await fetch(asked, { headers: { Accept: "application/json" } });
      if (!answer.ok) return;
      data = await answer.json();
    } catch { return; /* the server is away: the drawing that is there stays, the next turn asks again */ }
    // Meanwhile the reader zoomed or chose another metric.
    if (asked !== address()) return;
    data.series ||= seriesOf(data);
    if (box.finer) {
      const starts = new Map(box.whole.series.map((s) => [s.label, s.start]));
      for (const s of data.series) s.start = starts.get(s.label);
    } else box.whole = data;
    box.data = data;
    draw(box);
    box.dataset.live = data.live || data.running ? "1" : "";
    box.dispatchEvent(new CustomEvent("curves", { bubbles: true, detail: data }));
  };
  const boxes = () => $$("[data-curves]").filter((box) => box.data);
  const redraw = () => boxes().forEach((box) => draw(box));
  const mount = (root) => {
    if (!window.uPlot) return;
    const seen = new IntersectionObserver((entries) => entries.forEach((entry) => {
      if (entry.isIntersecting) { seen.unobserve(entry.target); load(entry.target); }
    }), { rootMargin: "200px" });
    $$("[data-curves]", root).forEach((box) => seen.observe(box));
    for (const control of $$("[data-curve-control]", root)) {
      const value = view[control.dataset.curveControl];
      if (control.type === "checkbox") control.checked = value; else control.value = value;
    }
  };
  document.addEventListener("input", (event) => {
    const control = event.target.dataset.curveControl;
    if (!control) return;
    view[control] = event.target.type === "checkbox" ? event.target.checked : event.target.type === "range" ? Number(event.target.value) : event.target.value;
    remember("curves", view);
    if (control !== "axis") { redraw(); return; }
    boxes().forEach((box) => { box.range = box.finer = null; load(box); });
  });
  let wait;
  addEventListener("resize", () => { clearTimeout(wait); wait = setTimeout(redraw, 150); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  setInterval(() => { if (!document.hidden) $$("[data-curves][data-live='1']").forEach((box) => box.getClientRects().length && load(box)); }, 2000);
  mount(document);
  document.addEventListener("htmx:load", (event) => { if (event.target !== document.body) mount(event.target); });
  tilth.curves = { load, draw, redraw };
})();
