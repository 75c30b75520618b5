"""Write the pages that follow from code and schema: `python docs/generate.py`."""

from argparse import SUPPRESS, Action, ArgumentParser
from collections.abc import Iterator
from pathlib import Path

import yaml

from snakeseg.cli import parser

ROOT = Path(__file__).resolve().parents[1]
BY_HAND = ("init", "sheet", "predict", "plan", "export", "fetch-weights", "status", "doctor")
SCHEMAS = ROOT / "workflow" / "schemas"
NAMES = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text", "null": "null"}
LIMITS = {"minimum": "from {}", "exclusiveMinimum": "above {}", "maximum": "to {}", "exclusiveMaximum": "below {}"}


def command_line() -> str:
    """Every subcommand with its options."""
    commands = next(action for action in parser()._actions if action.dest == "command").choices
    lines = [
        "# Command line",
        "",
        "Made from the parser by `python docs/generate.py`. `snakeseg COMMAND --help` says the same;",
    ]
    lines += ["every command takes `--debug`, which shows tracebacks.", ""]
    for title, names in (
        ("By hand", [name for name in commands if name in BY_HAND]),
        ("By the workflow's rules", [name for name in commands if name not in BY_HAND]),
    ):
        lines += [f"## {title}", "", *(line for name in names for line in command(name, commands[name]))]
    return "\n".join(lines[:-1]) + "\n"


def command(name: str, made: ArgumentParser) -> Iterator[str]:
    yield from (f"### `snakeseg {name}`", "", f"{made.description[0].upper()}{made.description[1:]}.", "")
    yield from ("| argument | meaning | default |", "|---|---|---|")
    either = {action for group in made._mutually_exclusive_groups for action in group._group_actions}
    for action in sorted(made._actions, key=lambda action: bool(action.option_strings)):
        if action.dest not in ("help", "debug"):
            usual = "one of these" if action in either else default(action)
            yield f"| `{spelling(action)}` | {cell(action.help)} | {usual} |"
    yield ""


def spelling(action: Action) -> str:
    """As one types it."""
    choices = "{" + ",".join(action.choices) + "}" if action.choices else None
    value = "" if action.nargs == 0 else choices or action.metavar or action.dest.upper()
    value += "..." if action.nargs in ("+", "*") else ""
    return " ".join(filter(None, [", ".join(action.option_strings), value]))


def default(action: Action) -> str:
    if action.required and action.nargs not in ("*", "?"):
        return "required"
    return "" if action.default in (None, False, SUPPRESS) or action.default == [] else f"`{action.default}`"


def keys() -> str:
    """Every key of the config and every column of the sheet."""
    schema = yaml.safe_load((SCHEMAS / "config.schema.yaml").read_text(encoding="utf-8"))
    lines = ["# Every key and column", "", "Made from the schema by `python docs/generate.py`. In more words:"]
    lines += ["[Configuration](../../config/README.md).", ""]
    for title, properties, required in sections(schema):
        lines += [f"## {title}", "", "| key | meaning | values | default |", "|---|---|---|---|"]
        for key, of in properties.items():
            usual = "required" if key in required else f"`{told(of['default'])}`" if "default" in of else ""
            lines.append(f"| `{key}` | {cell(of.get('description', ''))} | {cell(values(of))} | {usual} |")
        lines.append("")
    columns = yaml.safe_load((SCHEMAS / "samples.schema.yaml").read_text(encoding="utf-8"))
    lines += ["## Columns of the sample sheet", "", "| column | holds | default |", "|---|---|---|"]
    for key, of in columns["properties"].items():
        usual = "required" if key in columns["required"] else f"`{of['default']}`" if "default" in of else ""
        lines.append(f"| `{key}` | {cell(of['description'])} | {usual} |")
    return "\n".join(lines) + "\n"


def sections(schema: dict) -> Iterator[tuple[str, dict, list[str]]]:
    """Title, keys and the names of required keys of each section; each network is one."""
    deep = {key: of for key, of in schema["properties"].items() if parts(of)}
    flat = {key: of for key, of in schema["properties"].items() if key not in deep or "description" in of}
    yield "Top level", flat, schema["required"]
    for section, of in deep.items():
        for title, properties in parts(of):
            yield f"`{section}`{title}", properties, []


def parts(section: dict) -> list[tuple[str, dict]]:
    """The keys of a section, and those that only some of its variants have."""
    each = section.get("additionalProperties")
    forms = [section, *section.get("anyOf", []), each if isinstance(each, dict) else {}]
    found = [("", form["properties"]) for form in forms if "properties" in form]
    for rule in section.get("allOf", []):
        of = rule["if"]["properties"]["name"]
        own = {key: each for key, each in rule["then"]["properties"].items() if each}
        found.append((f" of {', '.join(of.get('enum') or [of['const']])}", own))
    return found


def values(of: dict) -> str:
    """What a key may be, in words."""
    forms = of.get("anyOf") or of.get("oneOf")
    if forms:
        return " or ".join(map(values, forms))
    if "enum" in of or "const" in of:
        return ", ".join(f"`{told(each)}`" for each in of.get("enum", [of.get("const")]))
    kinds = of["type"] if isinstance(of["type"], list) else [of["type"]]
    limits = " ".join(words.format(of[key]) for key, words in LIMITS.items() if key in of)
    if kinds == ["array"]:
        return f"list of: {values(of['items'])}"
    if "object" in kinds:
        return "map"
    return " or ".join(" ".join(filter(None, [NAMES[k], limits if k in ("integer", "number") else ""])) for k in kinds)


def told(value) -> str:
    """As YAML writes it."""
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()


def cell(text: str) -> str:
    return text.replace("|", "\\|")


PAGES = {"docs/reference/command-line.md": command_line, "docs/reference/keys.md": keys}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (ROOT / name).write_text(page(), encoding="utf-8")
