"""One builder a table: from a recording's records, sorted by compile, to frozen rows."""
