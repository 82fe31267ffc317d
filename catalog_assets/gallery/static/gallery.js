"use strict";
// The overview: every card carries what it can be found by; filters only show and hide.
(function overview() {
  const form = document.getElementById("filters");
  if (!form) return;
  const cards = [...document.querySelectorAll(".card")];
  const search = document.getElementById("search");
  const category = document.getElementById("category");
  const rule = document.getElementById("rule");
  const chips = [...form.querySelectorAll("[data-state]")];
  const shown = document.getElementById("shown");
  const empty = document.getElementById("empty");
  let state = "";

  function apply() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wantedCategory = category ? category.value : "";
    const wantedRule = rule ? rule.value : "";
    let count = 0;
    for (const card of cards) {
      const data = card.dataset;
      const fits =
        (!state || data.state === state) &&
        (!wantedCategory || data.category === wantedCategory) &&
        (!wantedRule || data.rules.split(" ").includes(wantedRule)) &&
        words.every((word) => data.text.includes(word));
      card.hidden = !fits;
      count += fits;
    }
    for (const chip of chips) chip.setAttribute("aria-pressed", String(chip.dataset.state === state));
    shown.textContent = count + " shown";
    empty.hidden = count > 0;
    const kept = new URLSearchParams();
    if (search.value) kept.set("q", search.value);
    if (state) kept.set("state", state);
    if (wantedCategory) kept.set("category", wantedCategory);
    if (wantedRule) kept.set("rule", wantedRule);
    // The address keeps the filters, so that going back, or sending the link, shows the same.
    try {
      history.replaceState(null, "", "#" + kept.toString());
      sessionStorage.setItem("filters", kept.toString());
    } catch {
      // Some browsers forbid both for files; the filters work all the same.
    }
  }

  function restore() {
    const kept = new URLSearchParams(location.hash.slice(1));
    search.value = kept.get("q") || "";
    state = kept.get("state") || "";
    if (category) category.value = kept.get("category") || "";
    if (rule) rule.value = kept.get("rule") || "";
  }

  for (const chip of chips) chip.addEventListener("click", () => { state = chip.dataset.state; apply(); });
  let waiting = 0;
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(apply, 80); });
  for (const select of [category, rule]) if (select) select.addEventListener("change", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("reset").addEventListener("click", () => {
    location.hash = ""; restore(); apply(); search.focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== search) { event.preventDefault(); search.focus(); }
  });
  restore();
  if (location.hash.length > 1) apply();
})();

// One SKU: the photo slides over the cutout, grounds change, findings show where they are.
(function sku() {
  for (const stage of document.querySelectorAll(".stage")) {
    const compare = stage.querySelector(".compare");
    const split = stage.querySelector(".split");
    if (split) split.addEventListener("input", () => compare.style.setProperty("--split", 100 - split.value + "%"));
    if (split) compare.style.setProperty("--split", 100 - split.value + "%");
    const grounds = [...stage.querySelectorAll(".grounds button")];
    for (const button of grounds) {
      button.addEventListener("click", () => {
        compare.dataset.ground = button.dataset.ground;
        for (const other of grounds) other.setAttribute("aria-pressed", String(other === button));
      });
    }
  }

  function mark(finding, on) {
    const figure = document.getElementById(finding.dataset.for);
    const frame = figure && figure.querySelector(".frame");
    if (!frame) return;
    for (const old of frame.querySelectorAll(".box")) old.remove();
    if (!on) return;
    const image = frame.querySelector("img");
    const width = Number(frame.dataset.width) || image.naturalWidth;
    const height = Number(frame.dataset.height) || image.naturalHeight;
    if (!width || !height) return;
    const [x0, y0, x1, y1] = finding.dataset.box.split(",").map(Number);
    const box = document.createElement("span");
    box.className = "box";
    box.style.left = (100 * x0) / width + "%";
    box.style.top = (100 * y0) / height + "%";
    box.style.width = (100 * (x1 - x0)) / width + "%";
    box.style.height = (100 * (y1 - y0)) / height + "%";
    frame.append(box);
  }
  for (const finding of document.querySelectorAll(".finding[data-box]")) {
    for (const event of ["mouseenter", "focus"]) finding.addEventListener(event, () => mark(finding, true));
    for (const event of ["mouseleave", "blur"]) finding.addEventListener(event, () => mark(finding, false));
  }

  const back = document.getElementById("back");
  if (back) {
    // Going back shows what was filtered before.
    try {
      const kept = sessionStorage.getItem("filters");
      if (kept) back.hash = kept;
    } catch {
      // Without it, all SKUs are shown.
    }
    document.addEventListener("keydown", (event) => {
      if (event.target.closest("input, select") || event.altKey || event.ctrlKey || event.metaKey) return;
      const rel = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
      const link = rel && document.querySelector('.turn a[rel="' + rel + '"]');
      if (link) link.click();
    });
  }
})();
