"""Sections of the config for commands, as JSON with only the values that differ from the defaults.

So a key that a later version adds does not change params, and nothing runs again.
"""

import json

# Keys of config.predict that become options of the command, and do not belong to the model.
KEPT_MAPS = ("keep_probabilities", "uncertainty")
# Sections for `check` and `data_report`: of the run, and of each experiment.
CHECKED = ("folds", "validation", "spatial_dims", "labels", "prepare", "augment")
EXPERIMENTS_CHECKED = ("network", "train", "predict")
# Sections on which trained weights depend.
LEARNED_FROM = (*CHECKED, *EXPERIMENTS_CHECKED, "loss", "weigh")


def differing(schema, section, values):
    """Return the values of a section or top-level key that differ from the defaults; None if none does."""
    of = schema["properties"][section]
    keys = next((option for option in (of, *of.get("anyOf", [])) if "properties" in option), None)
    if keys is None or not isinstance(values, dict):
        return None if values == of.get("default") else values
    defaults = defaults_of(keys, values)
    own = {key: value for key, value in values.items() if key not in defaults or value != defaults[key]}
    return own if own or "anyOf" in of else None


def changed(source, sections):
    """Return the values of these sections that differ from the defaults, by section."""
    chosen = {section: source[section] for section in sections}
    if "predict" in chosen:
        chosen["predict"] = {key: value for key, value in chosen["predict"].items() if key not in KEPT_MAPS}
    differences = {section: differing(SCHEMA, section, values) for section, values in chosen.items()}
    return {section: values for section, values in differences.items() if values is not None}


def settings(*sections, experiment=None):
    """Return sections of the config as JSON for the command line, with an experiment's overrides."""
    return json.dumps(changed({**config, **EXPERIMENTS.get(experiment, {})}, sections))


def check_settings():
    """Return the settings that input is checked against, as JSON; without experiments if config.model predicts."""
    experiments = {
        name: {**changed(sections, EXPERIMENTS_CHECKED), **({"start_from": STARTS[name]} if name in STARTS else {})}
        for name, sections in ({} if MODEL else EXPERIMENTS).items()
    }
    return json.dumps({**changed(config, CHECKED), "experiments": experiments})


def run_settings():
    """Return the whole config as JSON for the command line."""
    differences = {key: differing(SCHEMA, key, values) for key, values in config.items() if key != "experiments"}
    own = {key: values for key, values in differences.items() if values is not None}
    return json.dumps({**own, "experiments": config["experiments"]})
