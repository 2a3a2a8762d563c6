"""Versions in the shadow: they answer what others were asked, read from the log, in a process of their own at low priority."""
