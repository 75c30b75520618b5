# ruff: noqa: E501 - messages are on one line, so that they can be searched
"""Cases of bad configs; some messages are those of Snakemake, which reads a config first."""

from bad_input.case import Case, config, folder, write_plane

VALID = "name: run\nsheet: s.tsv\n"
NO_YAML = "Config file is not valid JSON or YAML. In case of YAML, make sure to not mix whitespace and tab indentation."
BILLION_LAUGHS = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)
FINITE = "config.train.learning_rate: found {}; expected a finite number; set the key to a finite number"
ENDLESS = "config: found more than 100000 values; expected at most 100000; write out values in place of aliases (*) that contain aliases"
LIMIT = "; see config/README.md"
CONTROL = "which has control characters; expected text on one line; remove these characters"
BRACES = "which has braces; expected text without braces; remove the braces, and rename the file or folder"
DASH = "expected a path that does not begin with '-'; write ./"
TOO_MANY = "config: found {} trainings (experiments x seeds x folds); expected at most 10000; lower config.folds, or split the run"


def bad(text: str, message: str) -> Case:
    """Make a case of a valid config with an added text."""
    return config(VALID + text, message)


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
    "config: a billion laughs": bad(BILLION_LAUGHS, ENDLESS),
    "config: a billion laughs in a key": bad(f"{BILLION_LAUGHS}validation: *a9\n", ENDLESS),
    "config: a list in itself": bad("validation: &v [*v]\n", ENDLESS),
    "config: a section twice": bad(
        "train: {steps: 5}\nlabels: {kind: binary}\ntrain: {batch: 2}\n",
        "c.yaml: found the key 'train' in lines ...; expected each key once; merge these lines into one key",
    ),
    "config: a key of a section twice": bad(
        "train:\n  steps: 5\n  steps: 6\n",
        "c.yaml: found the key 'steps' in lines ...; expected each key once; merge these lines into one key",
    ),
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
        "config.experiments.a.start_from: found a circle of a; expected an experiment that starts from no other; remove start_from from one of these experiments",
    ),
    "config: no sheet": config(
        "name: run\n", 'config: found \'sheet\' is a required property; expected ["name", "sheet"]' + LIMIT
    ),
    "config: no model where it says": bad(
        "model: nowhere\n",
        "config.model: found no model.json in nowhere; expected the folder of a trained model; set config.model to results/NAME/models/EXPERIMENT",
    ),
    "config: no images where it says": bad(
        "model: nowhere\nimages: none/*.tif\n",
        "config.images: found no image in none/*.tif; expected files that end in ...",
    ),
    "config: a name of two lines": config('name: "run\\n"\nsheet: s.tsv\n', f"config.name: found 'run\\n', {CONTROL}"),
    "config: an experiment of two lines": bad(
        'experiments: {"a\\n": {}}\nseeds: [0]\n', f"config.experiments: found 'a\\n', {CONTROL}"
    ),
    "config: a title of the terminal": bad(
        'data: "\\e]0;title\\a"\n', f"config.data: found '\\x1b]0;title\\x07', {CONTROL}"
    ),
    "config: braces in a path": bad("data: images/{plate}\n", f"config.data: found 'images/{{plate}}', {BRACES}"),
    "config: braces in a class": bad(
        'labels: {kind: semantic, values: {"{x}": 0, b: 1}}\n', f"config.labels.values: found '{{x}}', {BRACES}"
    ),
    "config: a path that is an option": bad("data: --output=x\n", f"config.data: found '--output=x'; {DASH}--output=x"),
    "config: a model that is an option": bad("model: -x\n", f"config.model: found '-x'; {DASH}-x"),
    "config: a sheet that is an option": config(
        "name: run\nsheet: -s.tsv\n", f"config.sheet: found '-s.tsv'; {DASH}-s.tsv"
    ),
    "config: images that are a list": bad(
        "model: nowhere\nimages: [a, b]\n",
        "config.images: found ['a', 'b'] is not of type 'string', 'null'; expected [...]" + LIMIT,
    ),
    "config: a citation of two lines": bad(
        'export: {cite: ["10.1000/a\\n"]}\n', f"config.export.cite: found '10.1000/a\\n', {CONTROL}"
    ),
    "config: folds without end": bad("folds: 100000000\n", TOO_MANY.format(10**8)),
    "config: seeds times experiments": bad(
        f"seeds: {list(range(200))}\nexperiments: {{{', '.join(f'a{i}: {{}}' for i in range(200))}}}\n",
        TOO_MANY.format(40_000),
    ),
    "config: a long circle of starts": bad(
        f"experiments: {{{', '.join(f'a{i}: {{start_from: a{(i + 1) % 3000}}}' for i in range(3000))}}}\n",
        "config.experiments.a0.start_from: found a circle of a0, a1, a2, a3, a4, ...; expected an experiment that starts from no other; remove start_from from one of these experiments",
    ),
    "config: simulated images in a folder of one's own": bad(
        "simulate: {}\ndata: images\n",
        "config.data: found 'images' beside simulate, which writes to results/run/simulated; expected one of the two; remove config.simulate or config.data",
    ),
    "config: simulated images in place of others": Case(
        lambda: (
            bad("simulate: {}\n", "").make(),
            folder("results/run/simulated")(),
            write_plane("results/run/simulated/a.tif"),
        ),
        ["snakemake", "c.yaml"],
        "results/run/simulated: found a folder that this run did not make (without simulated.json); expected no such folder; move it away or delete it",
    ),
    "config: more folds than groups": Case(
        *bad(
            "fold: 7\n",
            "config.fold: found 7 of 1 folds; expected a number from 0 to 0; change config.fold or config.folds",
        )
    ),
}
