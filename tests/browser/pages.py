"""What every page keeps within, and what is looked for on it in a browser."""

MAX_BYTES = 120_000
MAX_SCRIPT_BYTES = 60_000
MAX_NODES = 3_000

NAMELESS = """() => [...document.querySelectorAll('input:not([type=hidden]), select, textarea, button, summary, img, svg[role=img]')]
  .filter((e) => !(e.labels?.length || e.getAttribute('aria-label') || e.alt || e.textContent.trim()))
  .map((e) => e.outerHTML.slice(0, 120))"""

CONTRAST = """() => {
  const parse = (text) => { const n = (text.match(/[\\d.]+/g) || []).map(Number); return [n[0], n[1], n[2], n.length > 3 ? n[3] : 1]; };
  const light = ([r, g, b]) => { const f = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] > 0.5) return c; }
    return parse(getComputedStyle(document.body).backgroundColor); };
  const bad = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || e.closest('svg, noscript, script, :disabled') || !e.checkVisibility()) continue;
    const a = light(parse(getComputedStyle(e).color)), b = light(ground(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.add(`${e.tagName}.${e.className} ${ratio.toFixed(2)}: ${walker.currentNode.data.trim().slice(0, 30)}`);
  }
  return [...bad];
}"""
