"use strict";
// The viewer's pane for planes: a picture and its layers, with zoom and pan.

const pane = (() => {
  const dialog = document.getElementById("viewer");
  const [stage, sheet] = [".stage", ".sheet"].map(selector => dialog.querySelector(selector));
  const MAX_ZOOM = 40; // relative to the zoom at which the image fits the stage
  let entry = null, place = { x: 0, y: 0, zoom: 1 };

  // `place.zoom` is 1 if the image fits the stage; x and y are the position of its corner, in pixels of the stage.

  const fit = () => Math.min(stage.clientWidth / entry.width, stage.clientHeight / entry.height);

  function move(x, y, zoom) {
    const { width, height } = entry, scale = fit() * zoom;
    const inside = (at, size, room) => size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, at));
    place = { x: inside(x, width * scale, stage.clientWidth), y: inside(y, height * scale, stage.clientHeight), zoom };
    sheet.style.cssText = `width: ${width}px; height: ${height}px; transform: translate(${place.x}px, ${place.y}px) scale(${scale})`;
    sheet.classList.toggle("near", scale > 3);
    dialog.querySelector("output").value = `${Math.round(100 * zoom)} %`;
  }

  function zoomBy(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
    const zoom = Math.min(MAX_ZOOM, Math.max(1, place.zoom * factor)), ratio = zoom / place.zoom;
    move(x - (x - place.x) * ratio, y - (y - place.y) * ratio, zoom);
  }

  const panBy = (x, y) => move(place.x + x, place.y + y, place.zoom);

  function show(next, layers) {
    entry = next;
    for (const image of sheet.querySelectorAll("img"))
      if (layers[image.dataset.name]) image.src = layers[image.dataset.name];
      else image.removeAttribute("src");
    move(0, 0, 1);
  }

  function paint(on) {
    for (const image of sheet.querySelectorAll("img")) image.hidden = !on[image.dataset.name];
  }

  const actions = { in: () => zoomBy(1.5), out: () => zoomBy(1 / 1.5), fit: () => move(0, 0, 1) };
  const keys = { "+": "in", "=": "in", "-": "out", 0: "fit" };
  const arrows = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

  /** Handle a key; return false for keys without a function here. Arrows pan only a zoomed image. */
  function onKey({ key }) {
    if (keys[key]) actions[keys[key]]();
    else if (arrows[key] && place.zoom > 1) panBy(80 * arrows[key][0], 80 * arrows[key][1]);
    else return false;
    return true;
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

  const thumbnail = ({ image, truth, prediction, errors }) => [image, errors ?? prediction ?? truth].filter(Boolean);

  followFingers();
  return { show, paint, onKey, actions, thumbnail, resize: () => move(place.x, place.y, place.zoom), focus: () => stage.focus() };
})();
