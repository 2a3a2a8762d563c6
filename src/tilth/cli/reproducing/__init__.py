"""Runs made again: what was recorded is read, planned, prepared in a folder, started and compared. All of it was written by others."""
