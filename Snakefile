include: "workflow/Snakefile"


# An included file's first rule is no default target, so the root names its own.
rule default:
    default_target: True
    input:
        rules.all.input,
