"""Templates and assets to pages that need nothing else."""

from base64 import b64encode
from hashlib import sha256
from importlib import resources

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from snakeseg import __version__
from snakeseg.evaluation.summary import lower_is_better
from snakeseg.report import charts
from snakeseg.report.charts import Chart
from snakeseg.report.tables import number, title, whole

SCRIPTS = ("table.js", "flat.js", "volume.js", "viewer.js", "vega-interpreter.js", "charts.js")


def render(template: str, drawn: dict[str, dict[str, Chart]], /, **values) -> str:
    """A page with its charts; all text from files is escaped.

    Parameters
    ----------
    template : str
        Name of a file of `templates/`.
    drawn : dict
        Charts by section and name.
    **values
        What the template asks for.
    """
    made = Environment(loader=PackageLoader(__package__), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    # Names of scores and numbers as pages write them.
    made.filters |= {"named": title, "number": number, "whole": whole, "lower_is_better": lower_is_better}
    made.globals["asset"] = _asset
    specs = {id: chart.spec for group in drawn.values() for id, chart in group.items()}
    vega = Markup(charts.javascript()) if specs else ""
    return made.get_template(template).render(
        charts=drawn, specs=specs, vega=vega, policy=_policy([*map(_asset, SCRIPTS), vega], [_asset("page.css")]),
        version=__version__, **values,
    )  # fmt: skip


def _policy(scripts: list[str], styles: list[str]) -> str:
    """The Content-Security-Policy of a page: these scripts and styles alone, pictures of its own, and no network."""
    sources = [
        " ".join(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in texts)
        for texts in (scripts, styles)
    ]
    return (
        f"default-src 'none'; script-src {sources[0]}; style-src {sources[1]}; img-src data: blob:;"
        " base-uri 'none'; form-action 'none'"
    )


def numbered(groups: dict[str, list[Chart | None]]) -> dict[str, dict[str, Chart]]:
    """Charts by section, each with a name of its own; those that are None are left out."""
    return {
        group: {f"{group}-{index}": chart for index, chart in enumerate(filter(None, made))}
        for group, made in groups.items()
    }


def _asset(name: str) -> Markup:
    """A style sheet or script of ours, as it is."""
    return Markup(resources.files(__package__).joinpath("assets", name).read_text(encoding="utf-8"))
