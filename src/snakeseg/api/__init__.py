"""Python interface: functions for notebooks and scripts, which `import snakeseg` re-exports."""
