include: "workflow/Snakefile"


onsuccess:
    if os.path.isfile(f"{RUN}/report.html"):
        print(f"The report: {RUN}/report.html")


# The first rule of an included file is not a default target, so this file has its own, unless it is a module of another
# workflow.
rule default:
    default_target: len(workflow.included_stack) == 1
    input:
        rules.all.input,
