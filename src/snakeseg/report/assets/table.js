"use strict";
// Sort tables by a click on a column's heading; filter the table of images by text and by choices.

const bodyRows = table => [...table.tBodies[0].rows];
const cellText = (row, column) => row.cells[column].textContent.trim();
// The value that a column is sorted by: `data-value` of a cell with words in place of a number, otherwise its text.
const cellValue = (row, column) => row.cells[column].dataset.value ?? cellText(row, column);
const asNumber = text => Number(text.replaceAll(",", "").replace("−", "-"));

/** Compare two cells: numbers by value, texts alphabetically; missing values come last in both directions. */
function compareCells(a, b, up) {
  if (a === "–" || b === "–") return (a === "–") - (b === "–");
  const [x, y] = [asNumber(a), asNumber(b)];
  const order = isNaN(x) || isNaN(y) ? a.localeCompare(b, undefined, { numeric: true }) : x - y;
  return up ? order : -order;
}

function sortTable(table, head) {
  const up = head.getAttribute("aria-sort") !== "ascending";
  for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const column = head.cellIndex;
  const rows = bodyRows(table).map(row => [cellValue(row, column), row]);
  rows.sort((a, b) => compareCells(a[0], b[0], up));
  table.tBodies[0].append(...rows.map(pair => pair[1]));
}

for (const table of document.querySelectorAll("table.sortable"))
  for (const head of table.tHead.rows[0].cells)
    head.querySelector("button").addEventListener("click", () => sortTable(table, head));

const filters = document.getElementById("filters");

function filterImages() {
  const rows = bodyRows(document.getElementById("table-of-images"));
  const text = filters.elements.text.value.trim().toLowerCase();
  const choices = [...filters.querySelectorAll("select")].filter(select => select.value);
  for (const row of rows)
    row.hidden = !row.dataset.sample.toLowerCase().includes(text)
      || choices.some(select => row.dataset[select.name] !== select.value);
  const shown = rows.filter(row => !row.hidden).length;
  filters.elements.count.value = `${shown} of ${rows.length} rows`;
}

filters.addEventListener("input", filterImages);
filters.addEventListener("submit", event => event.preventDefault());
// Links with a state, such as "2 missed", filter the table by it.
for (const link of document.querySelectorAll("[data-show]"))
  link.addEventListener("click", () => {
    filters.reset();
    filters.elements.state.value = link.dataset.show;
    filterImages();
  });
filterImages();

for (const button of document.querySelectorAll("[data-copy]"))
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy);
    getSelection().selectAllChildren(text);
    await navigator.clipboard?.writeText(text.textContent).then(() => { button.textContent = "Copied"; }, () => {});
  });
