"""Check the whole config at once, and merge each experiment's overrides with it."""

import json
import os
import re
from math import isfinite
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend
from snakemake.exceptions import WorkflowError

# Largest numbers of values in a config, and of trainings in a run.
MAX_CONFIG_VALUES, MAX_TRAININGS = 100_000, 10_000
# Largest number of names that a message lists and that a misspelt one is compared with.
MAX_NAMED = 20
# File with which `snakeseg simulate` marks its folder (`commands.images.SIMULATION_MARK`).
SIMULATION_MARK = "simulated.json"
# Keys whose paths become arguments of commands.
PATH_KEYS = ("sheet", "data", "model", "images")


def refusal(*problems):
    """Return the error that ends the workflow, with one line per problem."""
    return WorkflowError("\n".join(map(str, problems)))


def match_in_full(validator, pattern, value, schema):
    """Match the schema keyword `pattern` with the whole text: Python's `$` also matches before a final line break."""
    if isinstance(value, str) and not re.fullmatch(pattern, value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def is_whole(checker, value):
    """Return True for values of the schema's type `integer`; 2.0 is not one."""
    return isinstance(value, int) and not isinstance(value, bool)


ConfigValidator = extend(
    Draft202012Validator,
    {"pattern": match_in_full},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", is_whole),
)


def find_problems(config, schema):
    """Return the problems of a config before its defaults are filled in."""
    return [*value_problems(config)] or [*schema_problems(config, schema, "config"), *path_problems(config)]


def repetition_problems(path):
    """Yield a problem for each key that a mapping in a config file has twice; YAML would use the last one silently."""
    try:
        todo, seen = [yaml.compose(Path(path).read_text(encoding="utf-8"))], set()
    except yaml.YAMLError:  # JSON with tabs, which Snakemake reads as JSON
        return
    while todo:
        node = todo.pop()
        if id(node) in seen or not isinstance(node, yaml.CollectionNode):
            continue
        seen.add(id(node))
        is_mapping, lines_of = isinstance(node, yaml.MappingNode), {}
        for key in [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)] if is_mapping else []:
            lines_of.setdefault(key.value, []).append(key.start_mark.line + 1)
        for key, (first, *others) in lines_of.items():
            if others:
                found = f"the key '{key}' in lines {first} and {others[-1]}"
                yield BadInput(os.path.relpath(path), found, "each key once", "merge these lines into one key")
        todo += [item for entry in node.value for item in (entry if is_mapping else [entry])]


def schema_problems(values, schema, where):
    """Yield a problem for each violation of the schema."""
    for error in ConfigValidator(schema).iter_errors(values):
        place = ".".join([where, *map(str, error.absolute_path)]) if error.absolute_path else where
        known = error.schema.get("properties", {})
        if error.validator == "additionalProperties" and known:
            for key in sorted(set(error.instance) - set(known), key=str):
                expected = f"one of {', '.join(known)}"
                yield BadInput(place, f"unknown key '{key}'", expected, text.did_you_mean(str(key), known))
        elif error.validator == "enum" and isinstance(error.instance, str):
            allowed = [word for word in error.validator_value if isinstance(word, str)]
            expected = f"one of {', '.join(allowed)}"
            yield BadInput(place, f"'{error.instance}'", expected, text.did_you_mean(error.instance, allowed))
        else:
            yield BadInput(place, error.message, json.dumps(error.validator_value)[:200], "see config/README.md")


def value_problems(config):
    """Yield a problem for each invalid text, number and key, and for too many values (from aliases in YAML)."""
    todo = [("config", config)]
    for _ in range(MAX_CONFIG_VALUES):
        if not todo:
            return
        place, value = todo.pop()
        if isinstance(value, dict):
            yield from (problem for key in value for problem in [*key_problems(place, key), *text_problems(place, key)])
            todo += [(f"{place}.{key}", item) for key, item in value.items()]
        elif isinstance(value, list):
            todo += [(place, item) for item in value]
        elif isinstance(value, float) and not isfinite(value):
            yield BadInput(place, value, "a finite number", "set the key to a finite number")
        yield from text_problems(place, value)
    found, expected = f"more than {MAX_CONFIG_VALUES} values", f"at most {MAX_CONFIG_VALUES}"
    yield BadInput("config", found, expected, "write out values in place of aliases (*) that contain aliases")


def key_problems(place, key):
    """Yield a problem for a key that is not text, such as a number or a date."""
    if not isinstance(key, str):
        found = f"the key {key}, which YAML reads as {type(key).__name__}"
        yield BadInput(place, found, "text", "write the key in quotes")


def text_problems(place, value):
    """Yield a problem for text with characters that file names, messages or Snakemake's patterns cannot hold."""
    if not isinstance(value, str):
        return
    checked_text = value.replace("\n", "") if place == "config.export.description" else value
    if text.CONTROL.search(checked_text):
        yield BadInput(place, f"'{value}', which has control characters", "text on one line", "remove these characters")
    if "{" in value or "}" in value:
        remedy = "remove the braces, and rename the file or folder"
        yield BadInput(place, f"'{value}', which has braces", "text without braces", remedy)


def path_problems(config):
    """Yield a problem for each path that a command would read as an option."""
    for key in PATH_KEYS:
        if str(config.get(key) or "").startswith("-"):
            path = config[key]
            yield BadInput(f"config.{key}", f"'{path}'", "a path that does not begin with '-'", f"write ./{path}")


def size_problems(config):
    """Yield a problem if the config asks for more trainings than a run can hold."""
    count = max(1, len(config["experiments"])) * max(1, len(config["seeds"])) * config["folds"]
    if count > MAX_TRAININGS:
        found = f"{count} trainings (experiments x seeds x folds)"
        yield BadInput("config", found, f"at most {MAX_TRAININGS}", "lower config.folds, or split the run")


def experiment_sections(config, schema):
    """Return the sections of each experiment: those of the config, merged with the experiment's overrides."""
    keys = schema["properties"]["experiments"]["additionalProperties"]["properties"]
    overridable = [key for key in keys if key != "start_from"]
    experiments = config["experiments"] or {"default": {}}
    sections = {
        name: {
            section: overlay(config[section], (override or {}).get(section, {}), schema["properties"][section])
            for section in overridable
        }
        for name, override in experiments.items()
    }
    seeded = [(name, seed) for name in sections for seed in config["seeds"]]
    repeats = {with_seed(n, s): {**sections[n], "train": {**sections[n]["train"], "seed": s}} for n, s in seeded}
    return repeats or sections


def with_seed(name, seed):
    """Return the name of an experiment's repeat with a seed."""
    return f"{name}.seed-{seed}"


def overlay(base, override, schema):
    """Merge an experiment's override with a section; another network starts from its own defaults."""
    same_network = override.get("name", base.get("name")) == base.get("name")
    return {**(base if same_network else defaults_of(schema, override)), **override}


def defaults_of(schema, values):
    """Return the defaults of a section's keys, with those of the network that the values name."""
    keys = {**schema["properties"]}
    for branch in schema.get("allOf", []):
        if ConfigValidator(branch["if"]).is_valid(values):
            keys = {**branch["then"]["properties"], **keys}
    return {key: of["default"] for key, of in keys.items() if "default" in of}


def experiment_problems(config, experiments, starts, schema):
    """Yield the problems of the experiments: of their sections, batches and starting weights."""
    problems = [
        problem
        for name, sections in experiments.items()
        for section, values in sections.items()
        for problem in schema_problems(values, schema["properties"][section], f"config.experiments.{name}.{section}")
    ]
    yield from problems or batch_problems(experiments)
    yield from start_problems(starts, config["experiments"])


def batch_problems(experiments):
    """Yield a problem for each experiment whose batch cannot be split equally among its processes."""
    for name, sections in experiments.items():
        batch, processes = sections["train"]["batch"], sections["train"]["processes"]
        if batch != "auto" and batch % processes:
            where, found = f"config.experiments.{name}.train.processes", f"{processes} for a batch of {batch}"
            yield BadInput(
                where, found, "a number that divides train.batch", "set train.batch to a multiple of train.processes"
            )


def start_problems(starts, known):
    """Yield a problem for each experiment that starts from an unknown one or from itself in a circle."""
    done = set()  # experiments whose chain of starts has been checked
    for name, start in starts.items():
        where, chain = f"config.experiments.{name}.start_from", {name: None}
        while start in starts and start not in chain and start not in done:
            chain[start] = None
            start = starts[start]
        if start in chain:
            circle = ", ".join([*chain][:5] + ["..."] * (len(chain) > 5))
            expected = "an experiment that starts from no other"
            remedy = "remove start_from from one of these experiments"
            yield BadInput(where, f"a circle of {circle}", expected, remedy)
        elif start not in known:
            listed = [*known][:MAX_NAMED]
            yield BadInput(where, f"'{start}'", f"one of {', '.join(listed)}", text.did_you_mean(start, listed))
        done.update(chain)


def fold_problems(config):
    """Yield a problem if config.fold is not one of the folds."""
    if config["fold"] != "all" and config["fold"] >= config["folds"]:
        found = f"{config['fold']} of {config['folds']} folds"
        expected = f"a number from 0 to {config['folds'] - 1}"
        yield BadInput("config.fold", found, expected, "change config.fold or config.folds")


def simulation_problems(config):
    """Yield a problem if simulated images would go to the folder of other data."""
    folder = f"results/{config['name']}/simulated"
    if not config["simulate"]:
        return
    if config["data"] not in (None, folder):
        found = f"'{config['data']}' beside simulate, which writes to {folder}"
        yield BadInput("config.data", found, "one of the two", "remove config.simulate or config.data")
    elif os.path.lexists(folder) and not os.path.isfile(f"{folder}/{SIMULATION_MARK}"):
        found = f"a folder that this run did not make (without {SIMULATION_MARK})"
        yield BadInput(folder, found, "no such folder", "move it away or delete it")


def link_problems(folders):
    """Yield a problem for each link of another user in the path of an output; Snakemake would empty its target."""
    user = os.getuid()
    for path in sorted({str(part) for folder in folders for part in [Path(folder), *Path(folder).parents][:-2]}):
        if os.path.islink(path) and os.lstat(path).st_uid != user:
            yield BadInput(path, "a link of another user", "a folder, or nothing", "remove the link")
