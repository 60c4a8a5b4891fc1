"""Pure data: what a recording says, as frozen values. Nothing here knows torch or Jupyter."""
