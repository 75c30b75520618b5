"""Screen sizes for tests of pages, and a check of their accessibility."""

import json
from importlib import resources

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}


def violations(page) -> list[str]:
    """Return the violations of WCAG A and AA that axe-core reports, each with its elements.

    Only the script of the package is used, because its Python code reads it in the encoding of the locale.
    """
    page.evaluate(resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    results = page.evaluate(f"axe.run({json.dumps(RULES)})")["violations"]
    return [f"{rule['id']}: {rule['help']}: {[node['html'] for node in rule['nodes']]}" for rule in results]
