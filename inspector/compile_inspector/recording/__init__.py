"""From records to tables: the live source, the file source, and `assemble`, which serves both."""
