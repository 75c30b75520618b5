"""Format the interpretation of a folder for the terminal and for programs."""

from collections.abc import Iterator
from pathlib import Path

from snakeseg.setup.layout import format_first
from snakeseg.setup.plan import SetupPlan

IMAGE_KINDS = {2: "2D images", 3: "volumes"}


def describe_setup(plan: SetupPlan) -> Iterator[str]:
    """Yield the lines that `snakeseg init` prints: layout, images, labels, groups, folds and training time."""
    survey = plan.found
    shapes = sorted({"x".join(map(str, shape)) for shape in survey.shapes})
    sizes = shapes[0] if len(shapes) == 1 else f"{shapes[0]} to {shapes[-1]}"
    channels = "1 channel" if survey.channels == 1 else f"{survey.channels} channels"
    opened = f" ({survey.opened} of {len(survey.sheet)} opened)" if survey.opened < len(survey.sheet) else ""
    yield f"layout: {plan.layout.name}, in {plan.layout.root}"
    yield f"images: {', '.join(f'{count} to {subset}' for subset, count in count_subsets(plan).items())}"
    unlabelled = plan.sheet.loc[plan.sheet["subset"] == "predict", "sample"].tolist()
    yield from [f"        without a label: {format_first(unlabelled)}"] if unlabelled else []
    yield from [f"        {plan.left_out}"] if plan.left_out else []
    yield f"files:  {IMAGE_KINDS[survey.dims]}, {sizes} pixels, {channels}{opened}"
    unknown = sorted({*"".join(survey.facts.get("unknown", []))}, reverse=True) if survey.dims == 3 else []
    if unknown:
        yield f"        pixel size along {', '.join(unknown)} unknown: write it into the column spacing of the sheet"
    yield f"labels: {survey.labels.kind}; {survey.why}"
    if survey.labels.kind == "semantic":
        ignored = "" if survey.labels.ignore is None else f"; {survey.labels.ignore} is ignored"
        yield f"        {', '.join(f'{name} {value}' for name, value in survey.labels.values.items())}{ignored}"
    yield f"groups: {plan.together or 'none'}"
    yield f"folds:  {plan.folds[1]}"
    steps = next(key.value for key in plan.proposal.sections["train"] if key.name == "steps")
    yield f"train:  {steps} steps, about {max(1, round(plan.proposal.minutes))} min on two cores of a laptop"


def count_subsets(plan: SetupPlan) -> dict[str, int]:
    """Return the number of rows of each subset."""
    return {name: int(count) for name, count in plan.sheet["subset"].value_counts().items()}


def plan_as_dict(plan: SetupPlan) -> dict:
    """Return the interpretation of a folder as plain values for JSON."""
    return {
        "layout": plan.layout.name,
        "root": str(plan.layout.root),
        "subsets": count_subsets(plan),
        "left_out": plan.left_out,
        "use": plan.use,
        "groups": plan.together,
        "labels": plan.found.why,
        "minutes": round(plan.proposal.minutes, 1),
        "problems": plan.found.problems,
    }


def next_command(config: Path) -> str:
    """Return the command that runs a config from the working folder; with `--snakefile` where Snakemake needs it."""
    has_snakefile = any(Path(name).is_file() for name in ("Snakefile", "workflow/Snakefile"))
    snakefile = Path(__file__).resolve().parents[3] / "Snakefile"
    option = "" if has_snakefile or not snakefile.is_file() else f"--snakefile {snakefile} "
    return f"snakemake --cores all {option}--configfile {config}"
