include: "workflow/Snakefile"


onsuccess:
    if os.path.isfile(f"{RUN}/report.html"):
        print(f"The report: {RUN}/report.html")


# An included file's first rule is no default target, so the root names its own; not that of a workflow whose module this is.
rule default:
    default_target: len(workflow.included_stack) == 1
    input:
        rules.all.input,
