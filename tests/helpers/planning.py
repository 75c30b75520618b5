"""Snakemake in the process of the tests, which takes a tenth of the time of a process of its own."""

import threading

import snakemake.cli


def run_snakemake(options: list) -> int:
    """Call Snakemake in a thread, since its event loop allows no other in the same one (a browser's); its exit code."""
    codes = []

    def call():
        try:
            snakemake.cli.main([str(option) for option in options])
        except SystemExit as end:
            codes.append(end.code or 0)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join()
    return codes[0]
