"""The form of all charts of the reports, in Vega-Lite, and their common parts."""

from typing import NamedTuple

import altair as alt
import vl_convert

# Colours of series, after Okabe and Ito's palette; each can be seen on white and on black.
SERIES_COLOURS = ["#0f8a70", "#d55e00", "#3d7fd1", "#c0629a", "#b98a00", "#56b4e9"]


class Chart(NamedTuple):
    """A chart and its description.

    Attributes
    ----------
    title : str
        Caption.
    text : str
        How to read the chart.
    numbers : str
        The most important numbers, for readers who cannot see the chart.
    chart : Chart or LayerChart
        The chart in Altair.
    """

    title: str
    text: str
    numbers: str
    chart: alt.TopLevelMixin

    @property
    def spec(self) -> dict:
        """The Vega-Lite specification, as wide as its place on the page."""
        return self.chart.properties(width="container").to_dict()

    def png(self) -> bytes:
        """Return the chart as a PNG image, for figures/ and Snakemake's own report."""
        return vl_convert.vegalite_to_png(self.chart.properties(width=480).to_dict(), scale=2)


def vega_javascript() -> str:
    """Return the source of Vega, Vega-Lite and Vega-Embed, in the versions for which Altair writes specifications."""
    return vl_convert.javascript_bundle(vl_version=".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2]))


def base_chart(rows: list[dict]) -> alt.Chart:
    """Return a chart of these rows, without marks."""
    return alt.Chart(alt.InlineData(values=rows), height=220)


def series_colours(names, field: str = "series") -> alt.Color:
    """Return the colour encoding of a chart by the values of a field, with a legend for two or more values."""
    names = list(dict.fromkeys(names))
    legend = alt.Legend(title=None, orient="bottom", columns=2, labelLimit=260) if len(names) > 1 else None
    return alt.Color(f"{field}:N", legend=legend, sort=names, scale=alt.Scale(range=SERIES_COLOURS))


def tooltips(rows: list[dict]) -> list[alt.Tooltip]:
    """Return tooltips for all columns of the rows."""
    return [
        alt.Tooltip(f"{name}:Q", format=".4~g") if isinstance(value, float) else alt.Tooltip(f"{name}:N")
        for name, value in rows[0].items()
    ]


def list_numbers(numbers: dict[str, float]) -> str:
    """List names and numbers in words, with three digits."""
    return "; ".join(f"{name} {value:.3g}" for name, value in numbers.items()) + "."
