// The list of runs: completion in the filter, choosing runs, kept views.
(() => {
  "use strict";
  const { $, $$, remember, recall } = tilth;

  // Choosing: what is ticked stays ticked while the list is fetched again. With the shift key a whole stretch is ticked.
  const chosen = new Set();
  let last = null;
  const ticks = () => $$("#found tbody input[name=run]");
  const show = () => {
    const all = $("#all-fitting")?.checked;
    for (const tick of ticks()) { tick.checked = all || chosen.has(tick.value); tick.closest("tr").classList.toggle("on", tick.checked); }
    const bar = $("#chosen"), total = ticks().length, here = ticks().filter((tick) => tick.checked).length;
    if (!bar) return;
    bar.classList.toggle("open", all || chosen.size > 0);
    $("#chosen-count").textContent = all ? "All that fit" : `${chosen.size} chosen`;
    const page = $("#choose-page");
    if (page) { page.checked = total > 0 && here === total; page.indeterminate = here > 0 && here < total; }
    follow();
  };
  // The chart above the list shows the chosen runs, else the newest.
  const follow = () => {
    const box = $("#newest");
    if (!box) return;
    const wanted = chosen.size ? box.dataset.address + [...chosen].slice(0, 8).join(",") : box.dataset.newest;
    if (box.dataset.curves === wanted) return;
    box.dataset.curves = wanted;
    const caption = $("#curve-caption");
    caption.textContent = chosen.size ? `· ${Math.min(chosen.size, 8)} of ${chosen.size} chosen` : caption.dataset.caption;
    tilth.curves.load(box);
  };
  const put = (tick, on) => { if (on) chosen.add(tick.value); else chosen.delete(tick.value); };
  document.addEventListener("click", (event) => {
    const tick = event.target.closest?.("#found input[name=run]");
    if (tick) {
      const all = ticks(), from = all.indexOf(last), to = all.indexOf(tick);
      if (event.shiftKey && from >= 0) all.slice(Math.min(from, to), Math.max(from, to) + 1).forEach((one) => put(one, tick.checked));
      else put(tick, tick.checked);
      last = tick;
      $("#all-fitting").checked = false;
      show();
    }
    if (event.target.id === "choose-none") { chosen.clear(); $("#all-fitting").checked = false; show(); }
    const opener = event.target.closest?.("[data-expands]");
    if (opener) document.getElementById(opener.dataset.expands).parentElement.hidden = false;
  });
  document.addEventListener("change", (event) => {
    if (event.target.id === "choose-page") { ticks().forEach((tick) => put(tick, event.target.checked)); show(); }
    if (event.target.id === "all-fitting") show();
    if (event.target.id === "group" || event.target.id === "experiment") event.target.form.requestSubmit();
  });
  // Chosen runs that another page or a narrower filter does not show are sent, too.
  document.addEventListener("formdata", (event) => {
    if (event.target.id !== "chosen" || event.formData.has("all")) return;
    event.formData.delete("run");
    for (const id of chosen) event.formData.append("run", id);
  });
  document.addEventListener("htmx:afterSwap", show);

  document.addEventListener("input", (event) => {
    const finds = event.target.dataset.finds;
    if (!finds) return;
    const words = event.target.value.toLowerCase();
    for (const one of $$(finds, event.target.form)) one.hidden = !one.dataset.name.includes(words);
  });

  // Kept views: names for addresses, in this browser.
  const shelf = `views${location.pathname}`;
  const listViews = () => {
    const list = $("#saved-views");
    if (!list) return;
    const views = recall(shelf, {});
    list.replaceChildren(...Object.entries(views).map(([name, query]) => {
      const line = document.createElement("li"), link = Object.assign(document.createElement("a"), { href: location.pathname + query, textContent: name });
      const drop = Object.assign(document.createElement("button"), { type: "button", className: "link", textContent: "Forget" });
      drop.setAttribute("aria-label", `Forget the view ${name}`);
      drop.addEventListener("click", () => { delete views[name]; remember(shelf, views); listViews(); });
      line.append(link, drop);
      return line;
    }));
  };
  document.addEventListener("submit", (event) => {
    if (event.target.id !== "save-view") return;
    event.preventDefault();
    remember(shelf, { ...recall(shelf, {}), [event.target.elements.name.value]: location.search });
    event.target.reset();
    listViews();
  });
  document.addEventListener("htmx:afterSwap", listViews);

  // Completion: the word at the cursor becomes keys (asked of the server), operators, or values.
  const ATTRIBUTES = ["status", "name", "experiment", "user", "source", "started", "ended", "duration", "parent"];
  const STATES = ["running", "finished", "failed", "killed", "lost", "scheduled"];
  const OPERATORS = { metrics: [">", ">=", "<", "<=", "=", "!="], params: ["=", "!=", ">", "<", "~", "^="], tags: ["=", "!=", "~", "^="], attributes: ["=", "!=", "~"] };
  const known = new Map();
  const ask = async (box, entity, key, prefix) => {
    const address = `${box.dataset.keys}?${new URLSearchParams({ entity, prefix, limit: 40, ...(key ? { key } : {}) })}`;
    if (!known.has(address)) known.set(address, fetch(address, { headers: { Accept: "application/json" } }).then((answer) => (answer.ok ? answer.json() : { keys: [] })).then((found) => found.keys).catch(() => []));
    return known.get(address);
  };
  const quoted = (text) => (/[\s"'`()<>=!~^]/.test(text) || !text ? `"${text.replace(/(["\\])/g, "\\$1")}"` : text);
  const offers = async (box) => {
    const before = box.value.slice(0, box.selectionStart), word = /(?:"[^"]*"|[^\s"])*$/.exec(before)[0], start = before.length - word.length;
    const term = /^(?:(metrics|params|tags)\.)?([^\s<>=!~^]*?)(<=|>=|!=|!~|\^=|<|>|=|~)(.*)$/.exec(word);
    if (term) {
      const [, entity, key, operator, value] = term, at = start + word.length - value.length;
      if (key === "status") return STATES.filter((state) => state.startsWith(value)).map((state) => ({ text: state, note: "state", at, insert: `${state} ` }));
      const found = entity === "metrics" || "<>".includes(operator[0]) ? [] : entity ? await ask(box, entity, key, value) : (await Promise.all([ask(box, "params", key, value), ask(box, "tags", key, value)])).flat();
      return found.slice(0, 12).map((text) => ({ text, note: "value", at, insert: `${quoted(text)} ` }));
    }
    const [, entity, prefix] = /^(?:(metrics|params|tags)\.)?(.*)$/.exec(word);
    const kinds = entity ? [entity] : ["metrics", "params", "tags"];
    const lists = await Promise.all(kinds.map((kind) => ask(box, kind, "", prefix)));
    const keys = kinds.flatMap((kind, i) => lists[i].filter((key) => !/^(mlflow|tilth)\./.test(key)).slice(0, entity ? 12 : 5).map((key) => ({ text: `${kind}.${key}`, note: kind.slice(0, -1), at: start, insert: `${kind}.${/[\s<>=!~^"'`()]/.test(key) ? `"${key}"` : key}`, kind })));
    const own = entity ? [] : ATTRIBUTES.filter((name) => name.startsWith(prefix)).map((name) => ({ text: name, note: "attribute", at: start, insert: name, kind: "attributes" }));
    const exact = keys.concat(own).find((one) => one.text === word || one.insert === word);
    if (exact) return OPERATORS[exact.kind].map((operator) => ({ text: `${word}${operator}`, note: "", at: before.length, insert: operator }));
    return prefix || entity ? [...own, ...keys] : [...own.slice(0, 4), ...keys];
  };
  let open = null, turn = 0;
  const close = () => { open?.list.remove(); open?.box.removeAttribute("aria-activedescendant"); open?.box.setAttribute("aria-expanded", "false"); open = null; };
  const mark = (place) => {
    open.place = place;
    [...open.list.children].forEach((line, i) => line.setAttribute("aria-selected", i === place));
    if (place >= 0) { open.box.setAttribute("aria-activedescendant", `offer-${place}`); open.list.children[place].scrollIntoView({ block: "nearest" }); }
  };
  const take = (one) => {
    const { box } = open, rest = box.value.slice(box.selectionStart);
    box.value = box.value.slice(0, one.at) + one.insert + rest.replace(/^[^\s]*/, one.insert.endsWith(" ") ? "" : "$&");
    const at = one.at + one.insert.length;
    box.setSelectionRange(at, at);
    close();
    suggest(box);
  };
  const suggest = async (box) => {
    const mine = ++turn, found = await offers(box);
    if (mine !== turn || document.activeElement !== box) return;
    close();
    if (!found.length) return;
    const list = Object.assign(document.createElement("ul"), { className: "offered", id: "offered" });
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "Completions");
    found.forEach((one, i) => {
      const line = Object.assign(document.createElement("li"), { id: `offer-${i}` });
      line.setAttribute("role", "option");
      line.append(one.text, Object.assign(document.createElement("span"), { className: "dim small", textContent: one.note }));
      line.addEventListener("pointerdown", (event) => { event.preventDefault(); take(one); });
      list.append(line);
    });
    box.parentElement.append(list);
    box.setAttribute("role", "combobox");
    box.setAttribute("aria-controls", "offered");
    box.setAttribute("aria-expanded", "true");
    open = { list, box, found, place: -1 };
  };
  document.addEventListener("input", (event) => { if (event.target.id === "filter") { close(); suggest(event.target); } });
  document.addEventListener("focusout", (event) => { if (event.target.id === "filter") { turn++; close(); } });
  document.addEventListener("keydown", (event) => {
    if (event.target.id !== "filter") return;
    if (!open) { if (event.key === "ArrowDown") { event.preventDefault(); suggest(event.target); } return; }
    const many = open.found.length;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      mark((open.place + (event.key === "ArrowDown" ? 1 : many - (open.place < 0 ? 0 : 1))) % many);
    } else if ((event.key === "Enter" || event.key === "Tab") && open.place >= 0) { event.preventDefault(); take(open.found[open.place]); }
    else if (event.key === "Enter") close();
    else if (event.key === "Escape") { event.preventDefault(); close(); }
  });
  show();
  listViews();
})();
