"""The room that runs programs to learn more of them: `guard_cost`, `sweep`, `try_fix`. Results are values of `model`; nothing is shown here."""
