"""Write the files that follow from the code: `python docs/generate.py`."""

from argparse import SUPPRESS, Action, ArgumentParser
from collections.abc import Iterator
from inspect import getdoc
from pathlib import Path

import yaml
from config_schema import config_schema, keys_of, schema_text

from snakeseg.cli import parser
from snakeseg.settings import NETWORK_SETTINGS, SECTIONS, Network

ROOT = Path(__file__).resolve().parents[1]
BY_HAND = ("init", "sheet", "predict", "plan", "export", "fetch-weights", "status", "doctor")
README = ROOT / "config" / "README.md"
BEGIN, END = "<!-- Keys: made by `python docs/generate.py`. -->", "<!-- End of the keys. -->"
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


def reference() -> str:
    """Return config/README.md with the tables of all keys."""
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


def tables() -> str:
    """Return a table of keys for the top level, each section and each network."""
    schema = config_schema()
    flat = {name: of for name, of in schema["properties"].items() if name not in SECTIONS}
    parts = [table(flat, schema["required"])]
    for name, cls in SECTIONS.items():
        parts += [f"### `{name}`", getdoc(cls)]
        if cls is Network:
            shared = keys_of(Network)
            parts.append(table({**shared, **schema["properties"]["network"]["properties"]}, []))
            for own, names in networks().items():
                parts += [f"#### {', '.join(f'`{each}`' for each in names)}", getdoc(own)]
                parts.append(table({key: of for key, of in keys_of(own).items() if key not in shared}, []))
        else:
            parts.append(table(keys_of(cls), []))
    return "\n\n".join(parts)


def networks() -> dict[type, list[str]]:
    """Return the names of the networks that have the same settings, by the class of these."""
    names: dict[type, list[str]] = {}
    for name, cls in NETWORK_SETTINGS.items():
        names.setdefault(cls, []).append(name)
    return names


def table(keys: dict[str, dict], required: list[str]) -> str:
    """Return a table of keys."""
    lines = ["| key | meaning | values | default |", "|---|---|---|---|"]
    for key, of in keys.items():
        usual = "required" if key in required else f"`{told(of['default'])}`"
        lines.append(f"| `{key}` | {cell(of['description'])} | {cell(values(of))} | {usual} |")
    return "\n".join(lines)


def values(of: dict) -> str:
    """What a key may be, in words."""
    if "anyOf" in of:
        return " or ".join(map(values, of["anyOf"]))
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


FILES = {
    "docs/reference/command-line.md": command_line,
    "workflow/schemas/config.schema.yaml": schema_text,
    "config/README.md": reference,
}

if __name__ == "__main__":
    for name, make in FILES.items():
        (ROOT / name).write_text(make(), encoding="utf-8")
