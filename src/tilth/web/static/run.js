// The page of one run: new charts as a run goes on, curves of child runs laid over, the end of a log kept in sight.
(() => {
  "use strict";
  const { $, $$ } = tilth;
  let going = $("#live[data-charts][hx-get]") !== null;
  // A run that has just begun: once it has metrics without a chart, fetch the section with all charts again.
  document.addEventListener("htmx:afterSwap", () => {
    const live = $("#live[data-charts]");
    if (!live) return;
    // It has ended: files and models came with its end.
    if (going && !live.hasAttribute("hx-get")) {
      going = false;
      htmx.ajax("GET", location.pathname, { target: "#content", select: "#content", swap: "outerHTML" });
      return;
    }
    if (Number(live.dataset.charts) > $$("#curves [data-curves]").length) htmx.ajax("GET", location.href, { target: "#curves", select: "#curves", swap: "outerHTML" });
  });

  // htmx does not swap the script's state away: every box that comes later is laid over too.
  const overlay = () => {
    const on = $("#overlay")?.checked;
    for (const box of $$("#curves [data-curves]")) {
      const bare = box.dataset.curves.replace("&children=1", ""), wanted = on ? `${bare}&children=1` : bare;
      if (wanted === box.dataset.curves) continue;
      box.dataset.curves = wanted;
      if (box.data) tilth.curves.load(box);
    }
  };
  document.addEventListener("change", (event) => { if (event.target.id === "overlay") overlay(); });
  document.addEventListener("htmx:afterSwap", overlay);

  // A log that is looked at from its end stays there while lines are added.
  let followed = true;
  const end = () => { const log = $("#log-text"); if (log && followed) log.scrollTop = log.scrollHeight; };
  document.addEventListener("scroll", (event) => {
    if (event.target.id === "log-text") followed = event.target.scrollTop + event.target.clientHeight > event.target.scrollHeight - 30;
  }, true);
  document.addEventListener("htmx:afterSwap", end);
  end();
})();
