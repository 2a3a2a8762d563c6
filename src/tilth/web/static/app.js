// Tilth in the browser: copying, forms, small comforts. Pages work without it; nothing here decides anything.
// What the scripts of single pages (curves.js, runs.js, run.js, compare.js) share stands in `tilth`.
const tilth = (() => {
  "use strict";
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // What a reader set stays in this browser; where it keeps nothing, it is as on the first day.
  const remember = (name, value) => { try { localStorage.setItem(`tilth.${name}`, JSON.stringify(value)); } catch { /* not kept */ } };
  const recall = (name, otherwise) => { try { return JSON.parse(localStorage.getItem(`tilth.${name}`)) ?? otherwise; } catch { return otherwise; } };

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
    // Read before the button is disabled: what a disabled button says is not sent.
    const body = new URLSearchParams(new FormData(form, button));
    if (button) button.disabled = true;
    let left = false;
    try {
      const answer = await fetch(button?.getAttribute("formaction") || form.getAttribute("action"), { method: "POST", body, headers: { Accept: "text/html" } });
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
    const form = event.target, question = event.submitter?.dataset.confirm || form.dataset.confirm;
    if ((event.submitter?.getAttribute("formmethod") || form.getAttribute("method")) !== "post") return;
    event.preventDefault();
    if (!question || confirm(question)) send(form, event.submitter);
  });
  // What a form has done is said once: a reload does not say it again.
  if (new URLSearchParams(location.search).has("done")) {
    const address = new URL(location.href);
    address.searchParams.delete("done");
    history.replaceState(null, "", address);
  }

  // MLflow's clients print addresses of its pages, all of which stand behind the `#` of the first one.
  if (location.hash.startsWith("#/")) {
    const project = location.pathname.match(/^\/p\/[^/]+/);
    if (project) location.replace(`${project[0]}/from-mlflow?at=${encodeURIComponent(location.hash.slice(1))}`);
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
    const focus = document.activeElement, busy = (part.contains(focus) && focus.type !== "checkbox") || $("details[open]", part) || (!chosen.isCollapsed && part.contains(chosen.anchorNode));
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

  return { $, $$, css, remember, recall };
})();
