"use strict";
// Draw the charts one after the other when the page has loaded; a click on a mark opens its image.

function chartTheme() {
  const style = getComputedStyle(document.documentElement);
  const [ink, soft, line] = ["--ink", "--soft", "--line"].map(name => style.getPropertyValue(name).trim());
  const text = { labelColor: soft, titleColor: ink, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" };
  return {
    background: null, font: "system-ui, sans-serif", aria: false, view: { stroke: null },
    axisQuantitative: { tickCount: 6 }, axis: { ...text, gridColor: line, domainColor: soft, tickColor: soft }, legend: { ...text, symbolStrokeWidth: 3 },
    rule: { color: ink }, tick: { color: ink },
  };
}

async function drawCharts() {
  const options = { actions: false, renderer: "svg", config: chartTheme(), ast: true, expr: globalThis.vegaInterpreter, defaultStyle: false, tooltip: { disableDefaultStyle: true } };
  for (const [name, spec] of Object.entries(JSON.parse(document.getElementById("charts").textContent))) {
    const { view } = await vegaEmbed(document.getElementById(`chart-${name}`), spec, options);
    view.addEventListener("click", (event, item) => {
      if (item?.datum?.sample) viewer.openImage(item.datum.sample, item.datum.experiment);
    });
    await new Promise(resolve => setTimeout(resolve)); // lets the page respond between charts
  }
  document.documentElement.dataset.charts = "drawn";
}

addEventListener("load", drawCharts);
