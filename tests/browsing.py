"""How pages are met in tests: sizes of screens, and what is wrong for those who cannot see or point."""

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def violations(page) -> str:
    """Violations of WCAG A and AA that axe-core finds; "" if there are none."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
    return found.generate_report() if found.violations_count else ""
