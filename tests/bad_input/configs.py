"""Bad configs; the first word is Snakemake's, which reads them."""

from bad_input.case import Case, config

GOOD = "name: run\nsheet: s.tsv\n"
NO_YAML = "Config file is not valid JSON or YAML. In case of YAML, make sure to not mix whitespace and tab indentation."
LAUGHS = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)
FINITE = "config, learning_rate: found {}; expected a finite number; correct it"
ENDLESS = "config: found more than 100000 values; expected fewer; look for aliases (*) that repeat each other"
LIMIT = "; see config/README.md"


def bad(text: str, told: str) -> Case:
    """What is added to a sound config."""
    return config(GOOD + text, told)


CASES: dict[str, Case] = {
    "config: nothing in it": config("", "Config file must be given as JSON or YAML with keys at top level."),
    "config: a list": config("- name\n- sheet\n", "Config file must be given as JSON or YAML with keys at top level."),
    "config: tabs": config("name:\n\t- run\n", NO_YAML),
    "config: a command as a tag": bad("data: !!python/object/apply:os.system ['touch canary']\n", NO_YAML),
    "config: an object as a tag": bad("data: !!python/object/new:subprocess.Popen [[touch, canary]]\n", NO_YAML),
    "config: a module as a tag": bad("data: !!python/module:os\n", NO_YAML),
    "config: a function as a tag": bad(
        "data: !!python/name:os.system\n",
        "config.data: found <built-in function system> is not of type 'string', 'null'; expected [...]" + LIMIT,
    ),
    "config: a billion laughs": bad(LAUGHS, ENDLESS),
    "config: a billion laughs in a key": bad(f"{LAUGHS}validation: *a9\n", ENDLESS),
    "config: a list in itself": bad("validation: &v [*v]\n", ENDLESS),
    "config: an unknown key": bad(
        "trian: {}\n", "config: found unknown key 'trian'; expected one of name, ...; did you mean 'train'?"
    ),
    "config: an unknown key in a section": bad(
        "train: {stepz: 3}\n",
        "config.train: found unknown key 'stepz'; expected one of steps, ...; did you mean 'steps'?",
    ),
    "config: an unknown key in an experiment": bad(
        "experiments: {a: {network: {wdth: 8}}}\n",
        "config.experiments.a.network: found unknown key 'wdth'; expected one of name, ...; did you mean 'width'?",
    ),
    "config: words for a number": bad(
        "train: {steps: many}\n",
        "config.train.steps: found 'many' is not of type 'integer'; expected \"integer\"" + LIMIT,
    ),
    "config: a number out of bounds": bad(
        "network: {depth: 4000000000}\n",
        "config.network.depth: found 4000000000 is greater than the maximum of 6; expected 6" + LIMIT,
    ),
    "config: not a number": bad("train: {learning_rate: .nan}\n", FINITE.format("nan")),
    "config: an endless number": bad("train: {learning_rate: .inf}\n", FINITE.format("inf")),
    "config: an unknown network": bad(
        "network: {name: os.system}\n", "config.network.name: found 'os.system'; expected one of ...; remove it"
    ),
    "config: a name that leads elsewhere": config(
        "name: ../../run\nsheet: s.tsv\n",
        "config.name: found '../../run' does not match '...'; expected \"...\"" + LIMIT,
    ),
    "config: a name that is a command": config(
        "name: $(touch canary)\nsheet: s.tsv\n",
        "config.name: found '$(touch canary)' does not match '...'; expected \"...\"" + LIMIT,
    ),
    "config: an experiment that leads elsewhere": bad(
        "experiments: {../a: {}}\n", "config.experiments: found '../a' does not match '...'; expected ..." + LIMIT
    ),
    "config: an experiment that starts from itself": bad(
        "experiments: {a: {start_from: a}}\n",
        "config.experiments.a.start_from: found a circle of a; expected an end to it; correct it",
    ),
    "config: no sheet": config(
        "name: run\n", 'config: found \'sheet\' is a required property; expected ["name", "sheet"]' + LIMIT
    ),
    "config: no model where it says": bad(
        "model: nowhere\n",
        "config.model: found no model.json in nowhere; expected the folder of a trained model; correct it",
    ),
    "config: no images where it says": bad(
        "model: nowhere\nimages: none/*.tif\n",
        "config.images: found no image in none/*.tif; expected files that end in ...",
    ),
    "config: more folds than groups": Case(
        *bad("fold: 7\n", "config.fold: found 7 of 1 folds; expected a number below that; correct one of them")
    ),
}
