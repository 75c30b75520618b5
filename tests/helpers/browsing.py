"""How pages are met in tests: sizes of screens, and what is wrong for those who cannot see or point."""

import json
from importlib import resources

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}


def violations(page) -> list[str]:
    """Violations of WCAG A and AA that axe-core finds, each with the elements.

    The package's own Python reads axe-core in the encoding of the locale, so only its script is used.
    """
    page.evaluate(resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate(f"axe.run({json.dumps(RULES)})")["violations"]
    return [f"{one['id']}: {one['help']}: {[node['html'] for node in one['nodes']]}" for one in found]
