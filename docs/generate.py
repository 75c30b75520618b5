"""Generate the reference of commands and config keys, and the config schema: `python docs/generate.py`."""

from argparse import SUPPRESS, Action, ArgumentParser
from collections.abc import Iterator
from inspect import getdoc
from pathlib import Path

import yaml
from config_schema import config_schema, keys_of, schema_text

from snakeseg.cli import parser
from snakeseg.settings import NETWORK_SETTINGS, SECTIONS, Network

ROOT = Path(__file__).resolve().parents[1]
# Subcommands that users call; the workflow calls all others.
USER_COMMANDS = ("init", "sheet", "predict", "plan", "export", "fetch-weights", "status", "doctor", "convert")
README = ROOT / "config" / "README.md"
BEGIN, END = "<!-- Keys: made by `python docs/generate.py`. -->", "<!-- End of the keys. -->"
TYPE_NAMES = {
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "string": "text",
    "null": "null",
}
NUMBERS = ("integer", "number")
LIMIT_TEXTS = {"minimum": "from {}", "exclusiveMinimum": "above {}", "maximum": "to {}", "exclusiveMaximum": "below {}"}


def command_line() -> str:
    """Return the page of all subcommands with their options."""
    commands = next(action for action in parser()._actions if action.dest == "command").choices
    lines = [
        "# Command line",
        "",
        "All subcommands of `snakeseg`. `snakeseg COMMAND --help` prints the same text. With `--debug`, every command",
        "shows tracebacks. `python docs/generate.py` writes this page from the parser.",
        "",
    ]
    for title, names in (
        ("Commands for users", [name for name in commands if name in USER_COMMANDS]),
        ("Commands of the workflow's rules", [name for name in commands if name not in USER_COMMANDS]),
    ):
        lines += [f"## {title}", "", *(line for name in names for line in command_section(name, commands[name]))]
    return "\n".join(lines[:-1]) + "\n"


def command_section(name: str, subparser: ArgumentParser) -> Iterator[str]:
    """Yield the lines of a subcommand's section: heading, description, table of arguments."""
    description = subparser.description
    yield from (f"### `snakeseg {name}`", "", f"{description[0].upper()}{description[1:]}.", "")
    yield from ("| argument | meaning | default |", "|---|---|---|")
    alternatives = {action for group in subparser._mutually_exclusive_groups for action in group._group_actions}
    for action in sorted(subparser._actions, key=lambda action: bool(action.option_strings)):
        if action.dest not in ("help", "debug"):
            default = "one of these" if action in alternatives else default_of(action)
            yield f"| `{usage(action)}` | {escaped(action.help)} | {default} |"
    yield ""


def usage(action: Action) -> str:
    """Return an argument as it is typed, such as `--output FILE`."""
    choices = "{" + ",".join(action.choices) + "}" if action.choices else None
    value = "" if action.nargs == 0 else choices or action.metavar or action.dest.upper()
    value += "..." if action.nargs in ("+", "*") else ""
    return " ".join(filter(None, [", ".join(action.option_strings), value]))


def default_of(action: Action) -> str:
    """Return the default of an argument: `required`, the value as code, or an empty text."""
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
    top_level = {key: entry for key, entry in schema["properties"].items() if key not in SECTIONS}
    parts = [table(top_level, schema["required"])]
    for section, cls in SECTIONS.items():
        parts += [f"### `{section}`", getdoc(cls)]
        if cls is Network:
            shared = keys_of(Network)
            parts.append(table({**shared, **schema["properties"]["network"]["properties"]}, []))
            for network, names in networks().items():
                parts += [f"#### {', '.join(f'`{name}`' for name in names)}", getdoc(network)]
                own_keys = {key: entry for key, entry in keys_of(network).items() if key not in shared}
                parts.append(table(own_keys, []))
        else:
            parts.append(table(keys_of(cls), []))
    return "\n\n".join(parts)


def networks() -> dict[type, list[str]]:
    """Return the network names of each class of network settings."""
    names: dict[type, list[str]] = {}
    for name, cls in NETWORK_SETTINGS.items():
        names.setdefault(cls, []).append(name)
    return names


def table(keys: dict[str, dict], required: list[str]) -> str:
    """Return a Markdown table of the keys, from their schemas."""
    lines = ["| key | meaning | values | default |", "|---|---|---|---|"]
    for key, schema in keys.items():
        default = "required" if key in required else f"`{as_yaml(schema['default'])}`"
        lines.append(f"| `{key}` | {escaped(schema['description'])} | {escaped(values(schema))} | {default} |")
    return "\n".join(lines)


def values(schema: dict) -> str:
    """Return the valid values of a key in words, such as `whole number from 1`."""
    if "anyOf" in schema:
        return " or ".join(map(values, schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{as_yaml(value)}`" for value in schema.get("enum", [schema.get("const")]))
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    limits = " ".join(text.format(schema[key]) for key, text in LIMIT_TEXTS.items() if key in schema)
    if types == ["array"]:
        return f"list of: {values(schema['items'])}"
    if "object" in types:
        return "map"
    names = {name: TYPE_NAMES[name] for name in types}
    return " or ".join(f"{text} {limits}".strip() if name in NUMBERS else text for name, text in names.items())


def as_yaml(value) -> str:
    """Return a value as YAML writes it, on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()


def escaped(text: str) -> str:
    """Return a text for a cell of a Markdown table."""
    return text.replace("|", "\\|")


FILES = {
    "docs/reference/command-line.md": command_line,
    "workflow/schemas/config.schema.yaml": schema_text,
    "config/README.md": reference,
}

if __name__ == "__main__":
    for name, make in FILES.items():
        (ROOT / name).write_text(make(), encoding="utf-8")
