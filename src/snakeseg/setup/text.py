"""What was understood of a folder, in words for the terminal and as a mapping for programs."""

from collections.abc import Iterator
from pathlib import Path

from snakeseg.setup.layout import some
from snakeseg.setup.plan import Plan

AXES = {2: "planes", 3: "volumes"}


def in_words(plan: Plan) -> Iterator[str]:
    """A line for each thing that was found or chosen."""
    look = plan.found
    shapes = sorted({"x".join(map(str, shape)) for shape in look.shapes})
    sizes = shapes[0] if len(shapes) == 1 else f"{shapes[0]} to {shapes[-1]}"
    channels = "1 channel" if look.channels == 1 else f"{look.channels} channels"
    opened = f" ({look.opened} opened)" if look.opened < len(look.sheet) else ""
    yield f"layout: {plan.layout.name}, in {plan.layout.root}"
    yield f"images: {', '.join(f'{count} to {subset}' for subset, count in subsets(plan).items())}"
    unlabelled = plan.sheet.loc[plan.sheet["subset"] == "predict", "sample"].tolist()
    yield from [f"        without a label: {some(unlabelled)}"] if unlabelled else []
    yield from [f"        {plan.left_out}"] if plan.left_out else []
    yield f"files:  {AXES[look.dims]}, {sizes} pixels, {channels}{opened}"
    yield f"labels: {look.labels.kind}; {look.why}"
    if look.labels.kind == "semantic":
        ignored = "" if look.labels.ignore is None else f"; {look.labels.ignore} is ignored"
        yield f"        {', '.join(f'{name} {value}' for name, value in look.labels.values.items())}{ignored}"
    yield f"groups: {plan.together or 'every image by itself'}"
    yield f"folds:  {plan.folds[1]}"
    steps = next(key.value for key in plan.proposal.sections["train"] if key.name == "steps")
    yield f"train:  {steps} steps, about {max(1, round(plan.proposal.minutes))} min on two cores of a laptop"


def subsets(plan: Plan) -> dict[str, int]:
    """How many rows each subset has."""
    return {name: int(count) for name, count in plan.sheet["subset"].value_counts().items()}


def for_programs(plan: Plan) -> dict:
    """The same for programs."""
    return {
        "layout": plan.layout.name,
        "root": str(plan.layout.root),
        "subsets": subsets(plan),
        "left_out": plan.left_out,
        "groups": plan.together,
        "labels": plan.found.why,
        "minutes": round(plan.proposal.minutes, 1),
        "problems": plan.found.problems,
    }


def next_command(config: Path) -> str:
    """Return the command that runs a config from the working folder."""
    here = any(Path(name).is_file() for name in ("Snakefile", "workflow/Snakefile"))
    beside = Path(__file__).resolve().parents[3] / "Snakefile"
    which = "" if here or not beside.is_file() else f"--snakefile {beside} "
    return f"snakemake --cores all {which}--configfile {config}"
