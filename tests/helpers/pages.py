"""What stands in the fences of README and documentation."""

import re
from pathlib import Path


def blocks(repository: Path, languages: str) -> list[str]:
    """What stands in fences of these languages ("sh|bash"), on all pages."""
    pages = [repository / "README.md", repository / "config" / "README.md", *sorted(repository.glob("docs/**/*.md"))]
    fence = re.compile(rf"```(?:{languages})\n(.*?)```", re.DOTALL)
    return [block for page in pages for block in fence.findall(page.read_text(encoding="utf-8"))]


def commands(repository: Path) -> list[str]:
    """Every line of a block of commands, without comments and the spaces before them."""
    lines = [line for block in blocks(repository, "sh|bash") for line in block.replace("\\\n", " ").splitlines()]
    return [" ".join(bare.split()) for line in lines if (bare := re.sub(r"(^|\s)#.*", "", line).strip())]
