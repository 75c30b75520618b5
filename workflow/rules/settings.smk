"""What commands are given of the config: as JSON, only what differs from the defaults.

A key that a later version adds then changes no params, and reruns nothing.
"""

import json

# The maps that are kept on request are an option of the command, not of the model.
KEPT_MAPS = ("keep_probabilities", "uncertainty")
# What `check` and `data_report` are given of the run, and of every experiment.
CHECKED = ("folds", "validation", "spatial_dims", "labels", "prepare", "augment")
EXPERIMENTS_CHECKED = ("network", "train", "predict")
# What weights depend on.
LEARNED_FROM = (*CHECKED, *EXPERIMENTS_CHECKED, "loss")


def differing(schema, section, values):
    """Return what of a section, or of a key of the top level, differs from its default; None if nothing does."""
    of = schema["properties"][section]
    keys = next((each for each in (of, *of.get("anyOf", [])) if "properties" in each), None)
    if keys is None or not isinstance(values, dict):
        return None if values == of.get("default") else values
    defaults = defaults_of(keys, values)
    own = {key: value for key, value in values.items() if key not in defaults or value != defaults[key]}
    return own if own or "anyOf" in of else None


def changed(source, sections):
    """Return what of these sections differs from the defaults."""
    chosen = {section: source[section] for section in sections}
    if "predict" in chosen:
        chosen["predict"] = {key: value for key, value in chosen["predict"].items() if key not in KEPT_MAPS}
    found = {section: differing(SCHEMA, section, values) for section, values in chosen.items()}
    return {section: values for section, values in found.items() if values is not None}


def settings(*sections, experiment=None):
    """Return sections of the config as JSON for the command line, with an experiment's overrides."""
    return json.dumps(changed({**config, **EXPERIMENTS.get(experiment, {})}, sections))


def check_settings():
    """Return what input is checked against, as JSON for the command line; a given model fits whatever it reads."""
    experiments = {
        name: {**changed(sections, EXPERIMENTS_CHECKED), **({"start_from": STARTS[name]} if name in STARTS else {})}
        for name, sections in ({} if MODEL else EXPERIMENTS).items()
    }
    return json.dumps({**changed(config, CHECKED), "experiments": experiments})


def run_settings():
    """Return the whole config as JSON for the command line."""
    found = {key: differing(SCHEMA, key, values) for key, values in config.items() if key != "experiments"}
    own = {key: values for key, values in found.items() if values is not None}
    return json.dumps({**own, "experiments": config["experiments"]})
