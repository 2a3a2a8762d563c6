// The comparison of many runs: one colour per run or per value, curves, parallel coordinates with brushes, scatter.
(() => {
  "use strict";
  const { $, $$, css, curves } = tilth;
  const root = $("#compare");
  if (!root) return;
  const SVG = "http://www.w3.org/2000/svg", NAMED = 24, POINTS = 8000;
  const address = () => new URL(location.href);
  const asked = address().searchParams;
  const state = { colour: asked.get("colour") || "", metric: asked.get("metric") || "", x: asked.get("x") || "", y: asked.get("y") || "", axes: (asked.get("axes") || "").split("|").filter(Boolean) };
  const keep = () => {
    const url = address();
    for (const [name, value] of Object.entries({ ...state, axes: state.axes.join("|") })) if (value) url.searchParams.set(name, value); else url.searchParams.delete(name);
    history.replaceState(null, "", url);
  };
  const element = (name, attributes = {}, text = "") => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    return made;
  };
  const shown = (v) => (v === null || v === undefined ? "–" : typeof v === "number" ? (Number.isInteger(v) ? v : Number(v.toPrecision(4))).toString() : v);

  // Few different numbers are their own ticks; otherwise round ones, or powers of ten.
  const ticksOf = (numbers, low, high, log) => {
    const own = [...new Set(numbers)].sort((m, n) => m - n);
    if (own.length <= 6) return own;
    const found = [];
    if (log) {
      for (let power = Math.ceil(Math.log10(low)); power <= Math.log10(high); power++) found.push(10 ** power);
      return found;
    }
    const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough)), step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= rough);
    for (let i = Math.ceil(low / step); i * step <= high; i++) found.push(Number((i * step).toPrecision(12)));
    return found;
  };
  // A scale from a column's values to 0..1: numbers by their size (by powers of ten where they span more than two), words in order.
  const scaleOf = (column) => {
    const known = column.values.filter((v) => v !== null);
    const numbers = known.filter((v) => typeof v === "number");
    if (numbers.length === known.length && numbers.length) {
      const low = Math.min(...numbers), high = Math.max(...numbers), log = low > 0 && high / low > 100;
      const f = log ? Math.log10 : (v) => v, a = f(low), b = f(high), place = (v) => (b > a ? (f(v) - a) / (b - a) : 0.5);
      return { log, at: (v) => (v === null ? null : place(v)), ticks: ticksOf(numbers, low, high, log).map((v) => [place(v), shown(v)]), ends: [shown(low), shown(high)] };
    }
    const words = [...new Set(known.map(String))].sort((m, n) => m.localeCompare(n, undefined, { numeric: true }));
    const place = new Map(words.map((word, i) => [word, words.length > 1 ? i / (words.length - 1) : 0.5]));
    const every = Math.ceil(words.length / 14);
    return { ends: [words[0], words[words.length - 1]], at: (v) => (v === null ? null : place.get(String(v))), ticks: words.map((word, i) => [place.get(word), word]).filter((_, i) => i % every === 0) };
  };
  const mixed = (p) => {
    const stops = [1, 2, 3, 4, 5].map((i) => css(`--ramp-${i}`).match(/\w\w/g).map((hex) => parseInt(hex, 16)));
    const at = Math.min(Math.max(p, 0), 1) * 4, i = Math.min(Math.floor(at), 3);
    return `rgb(${stops[i].map((v, c) => Math.round(v + (stops[i + 1][c] - v) * (at - i))).join(" ")})`;
  };

  let data, byKey, kept = new Set(), brushes = {};
  const colourOf = (i) => {
    const column = byKey.get(state.colour);
    if (!column) return css(`--plot-${(i % 8) + 1}`);
    const at = column.scale.at(column.values[i]);
    return at === null ? css("--ink-3") : mixed(at);
  };
  const option = (select, key, label, chosen) => select.append(Object.assign(document.createElement("option"), { value: key, textContent: label, selected: key === chosen }));

  const legend = () => {
    const box = $("#legend"), column = byKey.get(state.colour);
    box.replaceChildren();
    if (column) {
      const bar = element("svg", { class: "ramp", viewBox: "0 0 200 10", preserveAspectRatio: "none", role: "img", "aria-label": `colours of ${column.label}` });
      for (let i = 0; i < 40; i++) bar.append(element("rect", { x: i * 5, y: 0, width: 5.2, height: 10, fill: mixed(i / 39) }));
      const [low, high] = column.scale.ends;
      box.append(Object.assign(document.createElement("span"), { className: "small", textContent: low }), bar, Object.assign(document.createElement("span"), { className: "small", textContent: high }));
      return;
    }
    data.runs.slice(0, NAMED).forEach((run, i) => {
      const link = Object.assign(document.createElement("a"), { className: "chip", href: `${root.dataset.runsUrl}/${run.id}` });
      const mark = element("svg", { viewBox: "0 0 10 10", class: "swatch", "aria-hidden": "true" });
      mark.append(element("rect", { width: 10, height: 10, rx: 2, fill: colourOf(i) }));
      link.append(mark, run.name);
      box.append(link);
    });
    if (data.runs.length > NAMED) box.append(Object.assign(document.createElement("span"), { className: "dim small", textContent: `and ${data.runs.length - NAMED} more; point at a line to see its name` }));
  };
  const inTable = () => $$("[data-run]", root).forEach((link) => {
    const i = data.runs.findIndex((run) => run.id === link.dataset.run);
    if (i < 0) return;
    $(".swatch", link)?.remove();
    const mark = element("svg", { viewBox: "0 0 10 10", class: "swatch", "aria-hidden": "true" });
    mark.append(element("rect", { width: 10, height: 10, rx: 2, fill: colourOf(i) }));
    link.prepend(mark);
  });

  const drawCurves = () => {
    const box = $("#curves");
    if (!box) return;
    box.colour = (s) => colourOf(data.runs.findIndex((run) => run.id === s.id));
    box.dataset.curves = `${root.dataset.curvesUrl}?key=${encodeURIComponent(state.metric)}&most=${Math.min(400, Math.max(24, Math.round(POINTS / data.runs.length)))}&runs=${data.runs.map((run) => run.id).join(",")}`;
    box.range = box.finer = null;
    curves.load(box);
  };
  root.addEventListener("curves", (event) => {
    const { curves: found, lacking, most } = event.detail, cut = found.some((c) => c.total > c.steps.length);
    $("#curves-note").textContent = [`${found.length} of ${data.runs.length} runs have ${event.detail.key}`, cut ? `long curves are drawn with ${most} points that keep lows and highs: drag to zoom in` : "drag to zoom, double-click to see all"].join(" · ");
  });

  const parallel = () => {
    const box = $("#parallel"), columns = state.axes.map((key) => byKey.get(key)).filter(Boolean);
    const width = Math.max(box.clientWidth, 320), height = 300, top = 26, bottom = 16, left = 60, right = 70;
    const x = (i) => (columns.length > 1 ? left + ((width - left - right) * i) / (columns.length - 1) : width / 2);
    const y = (p) => top + (height - top - bottom) * (1 - p);
    const drawing = element("svg", { class: "chart parallel", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Parallel coordinates of ${data.runs.length} runs` });
    data.runs.forEach((run, i) => {
      const points = columns.map((c, place) => { const p = c.scale.at(c.values[i]); return p === null ? null : `${x(place).toFixed(1)} ${y(p).toFixed(1)}`; });
      let path = "", pen = false;
      for (const point of points) { if (point) path += `${pen ? "L" : "M"}${point}`; pen = point !== null; }
      const line = element("path", { d: path, stroke: colourOf(i), class: "strand" });
      line.addEventListener("pointerenter", () => { $("#under").textContent = [run.name, ...columns.map((c) => `${c.label} ${shown(c.values[i])}`)].join(" · "); });
      line.addEventListener("click", () => { location.assign(`${root.dataset.runsUrl}/${run.id}`); });
      line.dataset.place = i;
      drawing.append(line);
    });
    columns.forEach((column, place) => {
      const group = element("g", { class: "axis-group" });
      group.append(element("path", { class: "axis", d: `M${x(place)} ${y(0)}V${y(1)}` }));
      const anchor = place === 0 && columns.length > 1 ? "start" : place === columns.length - 1 && columns.length > 1 ? "end" : "middle";
      group.append(element("text", { class: "strong", x: anchor === "start" ? 4 : anchor === "end" ? width - 4 : x(place), y: 12, "text-anchor": anchor }, column.label.length > 22 ? `${column.label.slice(0, 21)}…` : column.label));
      for (const [p, text] of column.scale.ticks) group.append(element("text", { x: x(place) - 6, y: y(p) + 4, "text-anchor": "end" }, String(text).slice(0, 14)));
      const brush = element("rect", { class: "brush", x: x(place) - 8, width: 16, y: 0, height: 0 });
      const zone = element("rect", { class: "brush-zone", x: x(place) - 14, y: top - 6, width: 28, height: height - top - bottom + 12 });
      zone.append(element("title", {}, `Drag to keep a part of ${column.label}; click to keep all`));
      const show = () => { const range = brushes[column.key]; brush.setAttribute("y", range ? y(range[1]) : 0); brush.setAttribute("height", range ? Math.max(y(range[0]) - y(range[1]), 1) : 0); };
      zone.addEventListener("pointerdown", (down) => {
        const box = drawing.getBoundingClientRect(), p = (event) => 1 - ((event.clientY - box.top) * (height / box.height) - top) / (height - top - bottom);
        const from = p(down);
        zone.setPointerCapture(down.pointerId);
        const move = (event) => { const to = p(event); brushes[column.key] = [Math.max(Math.min(from, to), 0), Math.min(Math.max(from, to), 1)]; show(); brushed(); };
        const up = (event) => {
          zone.removeEventListener("pointermove", move);
          if (Math.abs(p(event) - from) < 0.015) delete brushes[column.key];
          show(); brushed();
        };
        zone.addEventListener("pointermove", move);
        zone.addEventListener("pointerup", up, { once: true });
      });
      group.append(brush, zone);
      drawing.append(group);
      show();
    });
    box.replaceChildren(drawing);
    brushed();
  };
  // A run stays lit while it lies within every brush.
  const brushed = () => {
    const active = Object.entries(brushes).filter(([key]) => state.axes.includes(key)).map(([key, range]) => [byKey.get(key), range]);
    kept = new Set(data.runs.map((_, i) => i).filter((i) => active.every(([c, [low, high]]) => { const p = c.scale.at(c.values[i]); return p !== null && p >= low && p <= high; })));
    for (const one of $$("[data-place]", root)) one.classList.toggle("off", !kept.has(Number(one.dataset.place)));
    const names = kept.size && kept.size <= 3 ? `: ${[...kept].map((i) => data.runs[i].name).join(", ")}` : "";
    $("#brushed").textContent = active.length ? `${kept.size} of ${data.runs.length} runs within the brushes${names}` : "drag along an axis to keep a part of it";
  };

  const scatter = () => {
    const box = $("#scatter"), cx = byKey.get(state.x), cy = byKey.get(state.y);
    if (!cx || !cy) return;
    const width = Math.max(box.clientWidth, 320), height = 300, left = 66, bottom = 36, top = 10, right = 24;
    const x = (p) => left + (width - left - right) * p, y = (p) => top + (height - top - bottom) * (1 - p);
    const drawing = element("svg", { class: "chart scatter", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${cy.label} against ${cx.label}` });
    for (const [p, text] of cy.scale.ticks) drawing.append(element("path", { class: "grid-line", d: `M${left} ${y(p)}H${width - right}` }), element("text", { x: left - 8, y: y(p) + 4, "text-anchor": "end" }, String(text).slice(0, 12)));
    for (const [p, text] of cx.scale.ticks) drawing.append(element("text", { x: x(p), y: height - bottom + 18, "text-anchor": "middle" }, String(text).slice(0, 12)));
    drawing.append(element("text", { class: "strong", x: (left + width - right) / 2, y: height - 3, "text-anchor": "middle" }, cx.label + (cx.scale.log ? " (log)" : "")));
    data.runs.forEach((run, i) => {
      const px = cx.scale.at(cx.values[i]), py = cy.scale.at(cy.values[i]);
      if (px === null || py === null) return;
      const dot = element("circle", { cx: x(px).toFixed(1), cy: y(py).toFixed(1), r: data.runs.length > 100 ? 3 : 4.5, fill: colourOf(i), class: "dot" });
      dot.dataset.place = i;
      dot.addEventListener("click", () => { location.assign(`${root.dataset.runsUrl}/${run.id}`); });
      dot.addEventListener("pointerenter", () => { $("#pointed").textContent = `${run.name}: ${cx.label} ${shown(cx.values[i])}, ${cy.label} ${shown(cy.values[i])}`; });
      drawing.append(dot);
    });
    box.replaceChildren(drawing);
    brushed();
  };
  const redraw = () => { legend(); inTable(); parallel(); scatter(); };

  const offer = () => {
    const metrics = data.columns.filter((c) => c.kind === "metric"), params = data.columns.filter((c) => c.kind === "param");
    // What few of the runs have, or all alike, would leave a drawing empty: it is offered, and not chosen.
    const known = (c) => c.values.filter((v) => v !== null), most = Math.max(...data.columns.map((c) => known(c).length));
    const telling = (c) => known(c).length * 4 >= most && new Set(known(c)).size > 1;
    if (!byKey.has(state.colour)) state.colour = state.colour === "run" || data.runs.length <= NAMED || !metrics.length ? "" : metrics[0].key;
    if (!byKey.has(state.y)) state.y = (metrics[0] || params[0])?.key || "";
    if (!byKey.has(state.x)) state.x = (params.find((c) => telling(c) && known(c).every((v) => typeof v === "number")) || metrics[1] || params[0] || metrics[0])?.key || "";
    state.axes = state.axes.filter((key) => byKey.has(key));
    if (!state.axes.length) state.axes = [...params.filter(telling).slice(0, 6), ...metrics.filter(telling).slice(0, 2).reverse()].map((c) => c.key);
    const titled = (c) => `${c.label}${c.kind === "param" ? " (param)" : ""}`;
    for (const c of data.columns) {
      option($("#colour"), c.key, titled(c), state.colour);
      option($("#scatter-x"), c.key, titled(c), state.x);
      option($("#scatter-y"), c.key, titled(c), state.y);
      const label = document.createElement("label"), tick = Object.assign(document.createElement("input"), { type: "checkbox", value: c.key, checked: state.axes.includes(c.key) });
      label.append(tick, ` ${titled(c)}`);
      $("#axes").append(label);
    }
    const metric = $("#curve-key");
    if (metric) {
      if ([...metric.options].some((o) => o.value === state.metric)) metric.value = state.metric;
      state.metric = metric.value;
    }
  };
  const on = (id, act) => $(id)?.addEventListener("change", (event) => { act(event.target); keep(); });
  on("#colour", (select) => { state.colour = select.value === "run" ? "" : select.value; redraw(); curves.redraw(); });
  on("#curve-key", (select) => { state.metric = select.value; drawCurves(); });
  on("#scatter-x", (select) => { state.x = select.value; scatter(); });
  on("#scatter-y", (select) => { state.y = select.value; scatter(); });
  on("#axes", () => { state.axes = $$("#axes input:checked").map((tick) => tick.value).slice(0, 14); parallel(); });
  let wait;
  addEventListener("resize", () => { clearTimeout(wait); wait = setTimeout(() => data && redraw(), 150); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => data && redraw());

  fetch(root.dataset.values, { headers: { Accept: "application/json" } }).then((answer) => answer.json()).then((found) => {
    data = found;
    byKey = new Map(data.columns.map((column) => [column.key, { ...column, scale: scaleOf(column) }]));
    offer();
    redraw();
    drawCurves();
  }).catch(() => { $("#legend").textContent = "The values did not arrive: reload the page once the server answers."; });
})();
