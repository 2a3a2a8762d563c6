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

  // Forms that change something go by fetch, so that a refusal stands beside the fields as they were filled in. Without JavaScript
  // it is a page of its own.
  const refuse = (form, text) => {
    const box = $(".refusal", form) || form.appendChild(document.createElement("p"));
    box.className = "refusal";
    box.setAttribute("role", "alert");
    box.textContent = text;
  };
  const send = async (form, button) => {
    if (button) button.disabled = true;
    let left = false;
    try {
      const answer = await fetch(form.getAttribute("action"), { method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "text/html" } });
      left = answer.ok && answer.redirected;
      if (left) { location.assign(answer.url); return; }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (answer.ok) { $("#content").replaceWith($("#content", page)); htmx.process($("#content")); scrollTo(0, 0); return; }
      const said = $("[data-message]", page);
      refuse(form, said ? said.textContent.trim() : `The server answered with ${answer.status}; nothing was changed.`);
    } catch { refuse(form, "The server does not answer. What you wrote is still here: try again in a moment."); }
    finally { if (button && !left) button.disabled = false; }
  };
  document.addEventListener("submit", (event) => {
    const form = event.target, question = form.dataset.confirm;
    if (form.getAttribute("method") !== "post") return;
    event.preventDefault();
    if (!question || confirm(question)) send(form, event.submitter);
  });
  // What a form has done is said once: a reload does not say it again.
  if (new URLSearchParams(location.search).has("done")) {
    const address = new URL(location.href);
    address.searchParams.delete("done");
    history.replaceState(null, "", address);
  }

  document.addEventListener("keydown", (event) => {
    const typing = /INPUT|TEXTAREA|SELECT/.test(document.activeElement.tagName);
    if ((event.key === "k" && (event.metaKey || event.ctrlKey)) || (event.key === "/" && !typing)) {
      const box = event.key === "/" && $("#filter") || $("#search");
      if (box) { event.preventDefault(); box.focus(); box.select(); }
    }
    if (event.key === "Escape") for (const open of $$("details.popover[open], .switch[open]")) { open.open = false; $("summary", open).focus(); }
  });

  // A page in a hidden tab does not ask for live parts; nor is a part replaced under somebody's focus, selection or open panel.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (!(event.detail.elt.getAttribute("hx-trigger") || "").includes("every")) return;
    const part = event.detail.target, chosen = getSelection();
    const busy = part.contains(document.activeElement) || $("details[open]", part) || (!chosen.isCollapsed && part.contains(chosen.anchorNode));
    if (document.hidden || busy) event.preventDefault();
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
  let going = $("#live[data-charts][hx-get]") !== null;
  // A run that has just begun: once it has metrics without a chart, fetch the section with all charts again.
  document.addEventListener("htmx:afterSwap", () => {
    const live = $("#live[data-charts]");
    // It has ended: files, models and the environment came with its end.
    if (live && going && !live.hasAttribute("hx-get")) {
      going = false;
      htmx.ajax("GET", location.pathname, { target: "#content", select: "#content", swap: "outerHTML" });
      return;
    }
    const there = $$("#curves [data-curves]").length;
    if (live && Number(live.dataset.charts) !== there) htmx.ajax("GET", location.pathname, { target: "#curves", select: "#curves", swap: "outerHTML" });
  });
  document.addEventListener("htmx:load", (event) => { if (event.target !== document.body) mount(event.target); });
})();
