"use strict";
// The viewer: a dialog that shows one image at a time, in the order of the table. The pane inside it draws the image:
// `flat.js` for planes, `volume.js` for volumes.

const viewer = (() => {
  const gallery = JSON.parse(document.getElementById("gallery").textContent);
  const dialog = document.getElementById("viewer"), title = dialog.querySelector("h2");
  const toggles = [...dialog.querySelectorAll("[data-layer]")];
  let row = null;

  const entryOf = row => gallery[row.dataset.sample];
  // The layers of an experiment's prediction; on a page without experiments, an empty object for images with a picture.
  const shownOf = row => "experiment" in row.dataset ? entryOf(row)?.shown?.[row.dataset.experiment] : entryOf(row)?.picture && {};
  const rowsInOrder = () => bodyRows(document.getElementById("table-of-images")).filter(row => !row.hidden && shownOf(row));

  function layersOf(row) {
    const [entry, shown] = [entryOf(row), shownOf(row)];
    return { image: entry.picture, truth: entry.truth, prediction: shown.prediction, errors: shown.errors, surfaces: [entry.surface, shown.surface] };
  }

  // Content.

  function showLayers() {
    const there = layersOf(row);
    for (const toggle of toggles) toggle.disabled = !there[toggle.dataset.layer];
    const on = toggles.map(toggle => [toggle.dataset.layer, !toggle.disabled && toggle.getAttribute("aria-pressed") === "true"]);
    pane.paint(Object.fromEntries(on));
  }

  function toggleLayer(toggle) {
    toggle.setAttribute("aria-pressed", toggle.getAttribute("aria-pressed") !== "true");
    showLayers();
  }

  /** Create an element with text, which is never parsed as HTML. */
  function element(name, text, attributes = {}) {
    return Object.assign(document.createElement(name), { textContent: text, ...attributes });
  }

  function showFacts() {
    const heads = [...row.closest("table").tHead.rows[0].cells].map(cell => cell.textContent.trim());
    const facts = heads.map((head, column) => [head, cellText(row, column)])
      .filter((fact, column) => column && !row.cells[column].matches(".text") && fact[1] !== "–");
    dialog.querySelector(".facts").replaceChildren(...facts.flatMap(([head, text]) => [element("dt", head), element("dd", text)]));
    const { counts } = shownOf(row);
    for (const count of dialog.querySelectorAll("[data-kind]")) count.textContent = counts?.[count.dataset.kind] ?? "–";
    const files = Object.entries({ ...entryOf(row).files, prediction: shownOf(row).file }).filter(([, file]) => file);
    dialog.querySelector(".files").replaceChildren(...files.map(([name, file]) => {
      const item = element("li", `${name}: `);
      item.append(file.href ? element("a", file.text, { href: file.href }) : file.text);
      return item;
    }));
    const state = row.querySelector(".state")?.parentElement.textContent.trim() ?? "scored";
    dialog.querySelector(".note").textContent = [state === "scored" ? "" : state, entryOf(row).note].filter(Boolean).join("; ");
  }

  function show(next) {
    row = next;
    const { sample, experiment, subset, part } = row.dataset;
    title.replaceChildren(sample, " ", element("span", [experiment, subset, part].filter(Boolean).join(", ")));
    pane.show(entryOf(row), layersOf(row));
    showLayers();
    showFacts();
  }

  function open(next) {
    if (!next || !shownOf(next)) return;
    if (!dialog.open) dialog.showModal();
    show(next);
    pane.focus();
  }

  function step(by) {
    const rows = rowsInOrder(), next = rows[rows.indexOf(row) + by];
    if (next) show(next);
  }

  // Keys and buttons.

  const actions = { ...pane.actions, previous: () => step(-1), next: () => step(1), close: () => dialog.close() };
  const keys = { j: 1, k: -1 }, arrows = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const toggle = toggles[Number(event.key) - 1], reading = event.target.closest(".about") && arrows[event.key];
    if (reading) return;
    if (keys[event.key]) step(keys[event.key]);
    else if (toggle) toggle.click();
    else if (pane.onKey(event)) ; // the pane has handled the key
    else if (arrows[event.key]) step(arrows[event.key]);
    else return;
    event.preventDefault();
  }

  function stack(row) {
    const frame = element("span", "", { className: "stack" });
    for (const src of pane.thumbnail(layersOf(row))) frame.append(element("img", "", { src, alt: "" }));
    return frame;
  }

  function rowOf(sample, experiment) {
    return bodyRows(document.getElementById("table-of-images"))
      .find(row => row.dataset.sample === sample && row.dataset.experiment === experiment);
  }

  const openImage = (sample, experiment) => open(rowOf(sample, experiment));

  dialog.addEventListener("keydown", onKey);
  for (const toggle of toggles) toggle.addEventListener("click", () => toggleLayer(toggle));
  for (const button of dialog.querySelectorAll("[data-do]")) button.addEventListener("click", actions[button.dataset.do]);
  for (const button of document.querySelectorAll("button.open")) button.addEventListener("click", () => open(button.closest("tr")));
  for (const button of document.querySelectorAll(".strip button")) {
    const row = rowOf(button.dataset.sample, button.dataset.experiment);
    if (row && shownOf(row) && !button.querySelector("img")) button.prepend(stack(row));
    button.addEventListener("click", () => open(row));
  }
  addEventListener("resize", () => { if (dialog.open) pane.resize(); });
  return { openImage };
})();
