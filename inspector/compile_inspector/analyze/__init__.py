"""What can be learnt from tables: pure functions, no torch, no recorder, nothing drawn."""
