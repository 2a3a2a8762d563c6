"""One file per migration, in order: 0001, 0002, ..."""
