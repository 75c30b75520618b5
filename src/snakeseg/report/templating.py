"""Render templates, assets and charts to self-contained pages."""

from base64 import b64encode
from hashlib import sha256
from importlib import resources

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from snakeseg import __version__
from snakeseg.evaluation.summary import lower_is_better
from snakeseg.report.chart import Chart, vega_javascript
from snakeseg.report.tables import format_score, format_value, format_whole, readable_name

SCRIPTS = ("table.js", "flat.js", "volume.js", "viewer.js", "vega-interpreter.js", "charts.js")


def render(template: str, drawn: dict[str, dict[str, Chart]], /, **values) -> str:
    """Return a page with its charts as HTML; text from files is escaped.

    Parameters
    ----------
    template : str
        Name of a file in `templates/`.
    drawn : dict
        Charts, by section and id (from `number_charts`).
    **values
        Variables of the template.

    Returns
    -------
    str
        The page, with scripts and styles inside, and a Content-Security-Policy that allows nothing else.
    """
    environment = Environment(loader=PackageLoader(__package__), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    formats = {"named": readable_name, "number": format_value, "whole": format_whole, "score": format_score}
    environment.filters |= {**formats, "lower_is_better": lower_is_better}
    environment.globals["asset"] = _asset
    specs = {id: chart.spec for section in drawn.values() for id, chart in section.items()}
    vega = Markup(vega_javascript()) if specs else ""
    return environment.get_template(template).render(
        charts=drawn, specs=specs, vega=vega, policy=_policy([*map(_asset, SCRIPTS), vega], [_asset("page.css")]),
        version=__version__, **values,
    )  # fmt: skip


def _policy(scripts: list[str], styles: list[str]) -> str:
    """Return the Content-Security-Policy that allows these scripts and styles, embedded pictures, and no network."""
    sources = [
        " ".join(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in texts)
        for texts in (scripts, styles)
    ]
    return (
        f"default-src 'none'; script-src {sources[0]}; style-src {sources[1]}; img-src data: blob:;"
        " base-uri 'none'; form-action 'none'"
    )


def number_charts(sections: dict[str, list[Chart | None]]) -> dict[str, dict[str, Chart]]:
    """Give every chart an id, "SECTION-INDEX"; leave out those that are None.

    Parameters
    ----------
    sections : dict
        Lists of charts, by section.

    Returns
    -------
    dict
        Charts, by section and id.
    """
    return {
        section: {f"{section}-{index}": chart for index, chart in enumerate(filter(None, made))}
        for section, made in sections.items()
    }


def _asset(name: str) -> Markup:
    """Return a style sheet or script of `assets/`, unescaped."""
    return Markup(resources.files(__package__).joinpath("assets", name).read_text(encoding="utf-8"))
