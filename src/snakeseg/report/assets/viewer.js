"use strict";
// The viewer: a dialog over the page that shows one image at a time, in the order of the table.

const viewer = (() => {
  const gallery = JSON.parse(document.getElementById("gallery").textContent);
  const dialog = document.getElementById("viewer");
  const [stage, sheet, title] = [".stage", ".sheet", "h2"].map(selector => dialog.querySelector(selector));
  const layers = [...sheet.querySelectorAll("img")];
  const toggles = [...dialog.querySelectorAll("[data-layer]")];
  const MOST = 40; // times the size at which the image fits
  let row = null, place = { x: 0, y: 0, zoom: 1 };

  const entryOf = row => gallery[row.dataset.sample];
  // What an experiment made of an image; where there are none, an image is enough.
  const shownOf = row => "experiment" in row.dataset ? entryOf(row)?.shown?.[row.dataset.experiment] : entryOf(row)?.picture && {};
  const rowsInOrder = () => bodyRows(document.getElementById("table-of-images")).filter(row => !row.hidden && shownOf(row));

  function layersOf(row) {
    const [entry, shown] = [entryOf(row), shownOf(row)];
    return { image: entry.picture, truth: entry.truth, prediction: shown.prediction, errors: shown.errors };
  }

  // Zoom and pan: `place.zoom` is 1 where the image fits; x and y are where its corner is, in pixels of the stage.

  function fit() {
    const { width, height } = entryOf(row);
    return Math.min(stage.clientWidth / width, stage.clientHeight / height);
  }

  function move(x, y, zoom) {
    const { width, height } = entryOf(row), scale = fit() * zoom;
    const inside = (at, size, room) => size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, at));
    place = { x: inside(x, width * scale, stage.clientWidth), y: inside(y, height * scale, stage.clientHeight), zoom };
    sheet.style.cssText = `width: ${width}px; height: ${height}px; transform: translate(${place.x}px, ${place.y}px) scale(${scale})`;
    sheet.classList.toggle("near", scale > 3);
    dialog.querySelector("output").value = `${Math.round(100 * zoom)} %`;
  }

  function zoomBy(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
    const zoom = Math.min(MOST, Math.max(1, place.zoom * factor)), ratio = zoom / place.zoom;
    move(x - (x - place.x) * ratio, y - (y - place.y) * ratio, zoom);
  }

  const panBy = (x, y) => move(place.x + x, place.y + y, place.zoom);

  // What is shown.

  function showLayers() {
    const there = layersOf(row);
    for (const toggle of toggles) {
      const layer = layers.find(image => image.dataset.name === toggle.dataset.layer);
      toggle.disabled = !there[toggle.dataset.layer];
      layer.hidden = toggle.disabled || toggle.getAttribute("aria-pressed") !== "true";
      if (there[toggle.dataset.layer]) layer.src = there[toggle.dataset.layer];
      else layer.removeAttribute("src");
    }
  }

  function toggleLayer(toggle) {
    toggle.setAttribute("aria-pressed", toggle.getAttribute("aria-pressed") !== "true");
    showLayers();
  }

  /** Elements with text, which is never taken for HTML. */
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
    showLayers();
    showFacts();
    move(0, 0, 1);
  }

  function open(next) {
    if (!next || !shownOf(next)) return;
    if (!dialog.open) dialog.showModal();
    show(next);
    stage.focus();
  }

  function step(by) {
    const rows = rowsInOrder(), next = rows[rows.indexOf(row) + by];
    if (next) show(next);
  }

  // Keys, buttons, mouse and fingers.

  const actions = {
    previous: () => step(-1), next: () => step(1), in: () => zoomBy(1.5), out: () => zoomBy(1 / 1.5), fit: () => move(0, 0, 1),
    close: () => dialog.close(),
  };
  const keys = { j: "next", k: "previous", "+": "in", "=": "in", "-": "out", 0: "fit" };
  const arrows = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const toggle = toggles[Number(event.key) - 1], arrow = !event.target.closest(".about") && arrows[event.key];
    if (keys[event.key]) actions[keys[event.key]]();
    else if (toggle && !toggle.disabled) toggleLayer(toggle);
    else if (arrow && place.zoom > 1) panBy(80 * arrow[0], 80 * arrow[1]);
    else if (arrow) step(-arrow[0] - arrow[1]);
    else return;
    event.preventDefault();
  }

  function followFingers() {
    const fingers = new Map();
    const spread = () => { const [a, b] = fingers.values(); return Math.hypot(a.x - b.x, a.y - b.y); };
    stage.addEventListener("pointerdown", event => {
      fingers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
      stage.setPointerCapture(event.pointerId);
    });
    stage.addEventListener("pointermove", event => {
      const last = fingers.get(event.pointerId);
      if (!last) return;
      const box = stage.getBoundingClientRect(), now = { x: event.clientX - box.left, y: event.clientY - box.top };
      const before = fingers.size === 2 ? spread() : 0;
      fingers.set(event.pointerId, now);
      panBy((now.x - last.x) / fingers.size, (now.y - last.y) / fingers.size);
      if (before) zoomBy(spread() / before, now.x, now.y);
    });
    for (const kind of ["pointerup", "pointercancel"]) stage.addEventListener(kind, event => fingers.delete(event.pointerId));
    stage.addEventListener("wheel", event => {
      event.preventDefault();
      const box = stage.getBoundingClientRect();
      zoomBy(Math.exp(-event.deltaY / 400), event.clientX - box.left, event.clientY - box.top);
    }, { passive: false });
  }

  function stack(row) {
    const frame = element("span", "", { className: "stack" }), { image, truth, prediction, errors } = layersOf(row);
    for (const src of [image, errors ?? prediction ?? truth].filter(Boolean)) frame.append(element("img", "", { src, alt: "" }));
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
  addEventListener("resize", () => { if (dialog.open) move(place.x, place.y, place.zoom); });
  followFingers();
  return { openImage };
})();
