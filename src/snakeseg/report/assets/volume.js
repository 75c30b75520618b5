"use strict";
// The viewer's pane for volumes: three planes through the same voxels (z, y, x), linked by a cross.

const pane = (() => {
  const root = document.querySelector("#viewer .planes");
  const NAMES = { body: ["Axial", "Coronal", "Sagittal"], stack: ["xy", "xz", "yz"] };
  const LINE_WIDTH = 1.6, WHEEL_STEP = 60; // in CSS pixels: width of outlines; turn of the wheel that moves one slice
  let volume = null, voxels = {}, at = [0, 0, 0], on = {}, request = 0, active = 0;

  // Each plane is perpendicular to an axis; its rows and columns run along the other two.
  const planes = [...root.querySelectorAll(".plane")].map((figure, axis) => {
    const [rows, columns] = [0, 1, 2].filter(other => other !== axis);
    const [name, number, canvas, slider] = ["b", "output", "canvas", "input"].map(selector => figure.querySelector(selector));
    return { figure, axis, rows, columns, name, number, canvas, slider, letters: figure.querySelectorAll("i") };
  });

  // Decoding.

  async function inflated(text) {
    const packed = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  async function slicesOf(src, { grid: [depth, height, width], columns }) {
    const sheet = Object.assign(new Image(), { src });
    await sheet.decode();
    const context = new OffscreenCanvas(sheet.width, sheet.height).getContext("2d", { willReadFrequently: true });
    context.drawImage(sheet, 0, 0);
    const made = new Uint32Array(depth * height * width);
    for (let z = 0; z < depth; z++) {
      const tile = context.getImageData(z % columns * width, Math.floor(z / columns) * height, width, height);
      made.set(new Uint32Array(tile.data.buffer), z * height * width);
    }
    return made;
  }

  async function show(entry, layers) {
    const ownRequest = ++request, same = entry.volume === volume;
    root.setAttribute("aria-busy", "true");
    voxels = {};
    volume = entry.volume;
    if (!same) at = [...volume.at];
    describe(layers.surfaces);
    layOut();
    const made = { image: await slicesOf(layers.image, volume) };
    for (const name of ["truth", "prediction", "errors"]) if (layers[name]) made[name] = await inflated(layers[name]);
    if (ownRequest !== request) return; // another image has been opened since
    voxels = made;
    root.setAttribute("aria-busy", "false");
    redraw();
  }

  // Geometry. Slices have the numbers of the file. A body is displayed against the direction of its file's axes.

  function describe(surfaces) {
    for (const { axis, rows, columns, name, slider, canvas, letters } of planes) {
      name.textContent = NAMES[volume.ends ? "body" : "stack"][axis];
      slider.max = volume.grid[axis] - 1;
      slider.setAttribute("aria-label", `${name.textContent} slice`);
      canvas.setAttribute("aria-label", `${name.textContent} plane`);
      const ends = volume.ends ? [...volume.ends[rows], ...volume.ends[columns]] : ["", "", "", ""];
      letters.forEach((letter, side) => { letter.textContent = ends[side]; });
    }
    root.querySelectorAll(".surface").forEach((figure, index) => {
      figure.hidden = !surfaces[index];
      if (surfaces[index]) figure.querySelector("img").src = surfaces[index];
    });
    root.querySelector(".convention").hidden = !volume.ends;
    const whole = volume.part.every(([start, stop], axis) => stop - start === volume.grid[axis]), size = sizes => [...sizes].reverse().join(" × ");
    root.querySelector(".grid").textContent = `${size(volume.total)} voxels${whole ? "" : `, shown as ${size(volume.grid)}`}.`;
  }

  const sliderOf = (axis, index) => volume.ends ? volume.grid[axis] - 1 - index : index;

  function numberOf(axis) {
    const [start, stop] = volume.part[axis], index = start + Math.floor((at[axis] + 0.5) * (stop - start) / volume.grid[axis]);
    return volume.ends ? volume.total[axis] - index : index + 1;
  }

  function goTo(axis, index) {
    at[axis] = Math.min(volume.grid[axis] - 1, Math.max(0, index));
  }

  /** Lay out all planes at one scale: side by side, or one below the other on a narrow screen. */
  function layOut() {
    const [z, y, x] = volume.extent, wide = matchMedia("(min-width: 48.01rem)").matches;
    const style = getComputedStyle(root), inner = root.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const room = wide ? Math.max(140, root.clientHeight - 310) : Math.max(140, 0.75 * root.clientHeight);
    const scale = wide ? Math.min((inner - 48) / (2 * x + y), room / Math.max(y, z)) : Math.min(inner / Math.max(x, y), room / Math.max(y, z));
    for (const { rows, columns, canvas } of planes) {
      const [height, width] = [rows, columns].map(axis => Math.max(1, volume.extent[axis] * scale));
      canvas.style.cssText = `width: ${width}px; height: ${height}px`;
      [canvas.width, canvas.height] = [width, height].map(side => Math.max(1, Math.round(side * devicePixelRatio)));
    }
  }

  // Drawing.

  const styleOf = name => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  const errorColours = ["match", "split", "merge", "miss", "false"].map(kind => {
    const [red, green, blue] = styleOf(kind).match(/[0-9a-f]{2}/gi).map(two => parseInt(two, 16));
    return (0x96 << 24 | blue << 16 | green << 8 | red) >>> 0;
  });

  /** Return a function of row and column that gives the value of a voxel in a plane. */
  function cut(array, { axis, rows, columns }) {
    const strides = [volume.grid[1] * volume.grid[2], volume.grid[2], 1], start = at[axis] * strides[axis];
    return (row, column) => array[start + row * strides[rows] + column * strides[columns]];
  }

  function picture(valueOf, height, width) {
    const small = new OffscreenCanvas(width, height), image = new ImageData(width, height), pixels = new Uint32Array(image.data.buffer);
    for (let row = 0, index = 0; row < height; row++) for (let column = 0; column < width; column++) pixels[index++] = valueOf(row, column);
    small.getContext("2d").putImageData(image, 0, 0);
    return small;
  }

  /** Draw lines along the edges of voxels that differ from their neighbours. */
  function outline(context, labelOf, height, width, colour) {
    const [x, y] = [context.canvas.width / width, context.canvas.height / height];
    context.beginPath();
    for (let row = 0; row < height; row++)
      for (let column = 0; column < width; column++) {
        const label = labelOf(row, column);
        if (column && label !== labelOf(row, column - 1)) context.moveTo(column * x, row * y), context.lineTo(column * x, (row + 1) * y);
        if (row && label !== labelOf(row - 1, column)) context.moveTo(column * x, row * y), context.lineTo((column + 1) * x, row * y);
      }
    Object.assign(context, { strokeStyle: colour, lineWidth: LINE_WIDTH * devicePixelRatio, lineCap: "square" });
    context.stroke();
  }

  function cross(context, { rows, columns }) {
    const [x, y] = [columns, rows].map(axis => (at[axis] + 0.5) / volume.grid[axis]);
    const { width, height } = context.canvas;
    context.fillStyle = "rgba(255, 255, 255, .35)";
    context.fillRect(x * width, 0, devicePixelRatio, height);
    context.fillRect(0, y * height, width, devicePixelRatio);
  }

  function draw(plane) {
    const { canvas, rows, columns } = plane, [height, width] = [volume.grid[rows], volume.grid[columns]];
    const context = canvas.getContext("2d"), lines = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
    const whole = [0, 0, canvas.width, canvas.height];
    context.fillStyle = "#000";
    context.fillRect(...whole);
    if (on.image && voxels.image) context.drawImage(picture(cut(voxels.image, plane), height, width), ...whole);
    context.imageSmoothingEnabled = false;
    if (on.errors && voxels.errors) {
      const codeOf = cut(voxels.errors, plane);
      context.drawImage(picture((row, column) => errorColours[codeOf(row, column) - 1] ?? 0, height, width), ...whole);
    }
    context.imageSmoothingEnabled = true;
    for (const layer of ["truth", "prediction"].filter(layer => on[layer] && voxels[layer])) {
      outline(lines, cut(voxels[layer], plane), height, width, styleOf(layer));
      lines.globalCompositeOperation = "screen"; // overlapping outlines turn white
    }
    context.drawImage(lines.canvas, 0, 0);
    cross(context, plane);
  }

  function redraw() {
    for (const plane of planes) {
      const { axis, slider, number } = plane;
      slider.value = sliderOf(axis, at[axis]);
      number.value = `${numberOf(axis)} of ${volume.total[axis]}`;
      slider.setAttribute("aria-valuetext", number.value);
      draw(plane);
    }
  }

  function paint(next) {
    on = next;
    redraw();
  }

  // Input: sliders, arrow keys, the wheel; a click or touch moves the cross.

  const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 };

  function onKey({ key }) {
    if (!steps[key]) return false;
    goTo(active, at[active] + (volume.ends ? -1 : 1) * steps[key]);
    redraw();
    return true;
  }

  for (const { figure, axis, rows, columns, slider, canvas } of planes) {
    let turned = 0;
    figure.addEventListener("focusin", () => { active = axis; });
    slider.addEventListener("input", () => { goTo(axis, sliderOf(axis, Number(slider.value))); redraw(); });
    figure.addEventListener("wheel", event => {
      event.preventDefault();
      active = axis;
      turned += event.deltaY;
      const slices = Math.trunc(turned / WHEEL_STEP);
      turned -= slices * WHEEL_STEP;
      goTo(axis, at[axis] + slices);
      redraw();
    }, { passive: false });
    const follow = event => {
      if (event.type === "pointermove" && !(event.buttons && event.pointerType === "mouse")) return; // touch scrolls the page
      goTo(columns, Math.floor(event.offsetX / canvas.clientWidth * volume.grid[columns]));
      goTo(rows, Math.floor(event.offsetY / canvas.clientHeight * volume.grid[rows]));
      redraw();
    };
    canvas.addEventListener("click", follow);
    canvas.addEventListener("pointermove", follow);
  }

  const resize = () => { layOut(); redraw(); };
  const thumbnail = ({ surfaces: [truth, prediction] }) => [prediction ?? truth].filter(Boolean); // a surface without objects is a picture too
  return { show, paint, onKey, actions: {}, thumbnail, resize, focus: () => planes[0].slider.focus() };
})();
