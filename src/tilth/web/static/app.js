// Tilth in the browser: copying, curves, small comforts. Pages work without it; nothing here decides anything.
(() => {
  "use strict";
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) {
      const text = button.dataset.copy || $("pre", button.parentElement).textContent;
      try { await navigator.clipboard.writeText(text); } catch { select(button); return; }
      const before = button.textContent;
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = before; }, 1200);
    }
    for (const open of $$("details.popover[open], .switch[open]")) if (!open.contains(event.target)) open.open = false;
  });
  const select = (button) => getSelection().selectAllChildren($("pre", button.parentElement) || button);

  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !confirm(question)) event.preventDefault();
  }, true);

  document.addEventListener("keydown", (event) => {
    const typing = /INPUT|TEXTAREA|SELECT/.test(document.activeElement.tagName);
    if ((event.key === "k" && (event.metaKey || event.ctrlKey)) || (event.key === "/" && !typing)) {
      const box = event.key === "/" && $("#filter") || $("#search");
      if (box) { event.preventDefault(); box.focus(); box.select(); }
    }
    if (event.key === "Escape") for (const open of $$("details.popover[open], .switch[open]")) { open.open = false; $("summary", open).focus(); }
  });

  // A page in a hidden tab does not ask for live parts.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const trigger = event.detail.elt.getAttribute("hx-trigger") || "";
    if (document.hidden && trigger.includes("every")) event.preventDefault();
  });

  const ages = () => {
    const now = Date.now();
    for (const time of $$("time[data-age]")) {
      const seconds = Math.floor((now - Date.parse(time.dateTime)) / 1000);
      if (seconds < 2 || seconds > 5184000) continue;
      const [size, unit] = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]].find(([s]) => seconds >= s);
      time.textContent = `${Math.floor(seconds / size)}${unit} ago`;
    }
  };
  setInterval(ages, 10000);

  // Curves: data-curves names a JSON address: {"series": [{"label", "x", "t", "y"}], "live": bool}; y holds null, "NaN" or numbers.
  const view = { smooth: 0, log: false, axis: "step" };
  const smoothed = (ys, weight) => {
    let last = null;
    return ys.map((y) => (typeof y !== "number" ? null : (last = last === null ? y : last * weight + y * (1 - weight))));
  };
  const draw = (box, data) => {
    const key = view.axis === "time" ? "t" : "x";
    const weight = view.smooth / 100;
    const tables = data.series.map((s) => {
      const order = s[key].map((_, i) => i);
      if (key === "t") order.sort((a, b) => s.t[a] - s.t[b]);
      const ys = order.map((i) => (typeof s.y[i] === "number" && !(view.log && s.y[i] <= 0) ? s.y[i] : null));
      return [order.map((i) => (key === "t" ? s.t[i] / 1000 : s[key][i])), weight ? smoothed(ys, weight) : ys];
    });
    const aligned = uPlot.join(tables);
    const axis = { stroke: css("--ink-3"), grid: { stroke: css("--grid"), width: 1 }, ticks: { show: false }, font: "11px Inter, sans-serif" };
    const options = {
      width: box.clientWidth - 20, height: Number(box.dataset.height) || 190, cursor: { points: { size: 6 } },
      scales: { x: { time: key === "t" }, y: { distr: view.log ? 3 : 1 } },
      axes: [{ ...axis, size: 28 }, { ...axis, size: 50 }],
      series: [{ label: key === "t" ? "time" : "step" }, ...data.series.map((s, i) => ({
        label: s.label, stroke: css(`--plot-${(i % 8) + 1}`), width: 1.8, spanGaps: true,
        points: { show: s.y.length < 3, size: 6 }, value: (_, v) => (v === null || v === undefined ? "" : Number(v.toPrecision(5)).toString()),
      }))],
    };
    if (box.plot) box.plot.destroy();
    box.replaceChildren();
    box.plot = new uPlot(options, aligned, box);
  };
  const load = async (box) => {
    try {
      const answer = await fetch(box.dataset.curves, { headers: { Accept: "application/json" } });
      if (!answer.ok) return;
      box.data = await answer.json();
      if (box.data.series.length) draw(box, box.data);
      box.dataset.live = box.data.live ? "1" : "";
    } catch { /* the server is away: the drawing that is there stays, the next turn asks again */ }
  };
  const redraw = () => $$("[data-curves]").forEach((box) => box.data && box.data.series.length && draw(box, box.data));
  const mount = (root) => {
    if (!window.uPlot) return;
    const seen = new IntersectionObserver((entries) => entries.forEach((entry) => {
      if (entry.isIntersecting) { seen.unobserve(entry.target); load(entry.target); }
    }), { rootMargin: "200px" });
    $$("[data-curves]", root).forEach((box) => seen.observe(box));
  };
  document.addEventListener("input", (event) => {
    const control = event.target.dataset.curveControl;
    if (!control) return;
    view[control] = event.target.type === "checkbox" ? (control === "axis" ? (event.target.checked ? "time" : "step") : event.target.checked) : Number(event.target.value);
    redraw();
  });
  let wait;
  addEventListener("resize", () => { clearTimeout(wait); wait = setTimeout(redraw, 150); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  setInterval(() => { if (!document.hidden) $$("[data-curves][data-live='1']").forEach(load); }, 2000);
  mount(document);
  // A run that has just begun: once it has metrics without a chart, fetch the section with all charts again.
  document.addEventListener("htmx:afterSwap", () => {
    const live = $("#live[data-charts]");
    const there = $$("#curves [data-curves]").length;
    if (live && Number(live.dataset.charts) !== there) htmx.ajax("GET", location.href, { target: "#curves", select: "#curves", swap: "outerHTML" });
  });
  document.addEventListener("htmx:load", (event) => { if (event.target !== document.body) mount(event.target); });
})();
