"""Read the code blocks of README and documentation."""

import re
from pathlib import Path


def blocks(repository: Path, languages: str) -> list[str]:
    """Return the code blocks of the given languages ("sh|bash") on all pages."""
    pages = [repository / "README.md", repository / "config" / "README.md", *sorted(repository.glob("docs/**/*.md"))]
    fence = re.compile(rf"```(?:{languages})\n(.*?)```", re.DOTALL)
    return [block for page in pages for block in fence.findall(page.read_text(encoding="utf-8"))]


def commands(repository: Path) -> list[str]:
    """Return every command line on the pages, without comments."""
    lines = [line for block in blocks(repository, "sh|bash") for line in block.replace("\\\n", " ").splitlines()]
    return [" ".join(bare.split()) for line in lines if (bare := re.sub(r"(^|\s)#.*", "", line).strip())]
