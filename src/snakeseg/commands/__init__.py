"""Subcommands: each reads its inputs, calls a step, and writes outputs. Modules are imported on use."""
