"""Compiled programs kept on disk: what tells programs apart, the files, saving and loading. `secret`, `envelope`, `store` and `header` need no torch."""
