"""Which Tilth this is."""

VERSION = "0.1.0"
