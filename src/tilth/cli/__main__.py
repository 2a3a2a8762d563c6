"""`python -m tilth.cli` is the command `tilth`."""

from tilth.cli.main import main

main()
