"""Which flights out of New York arrive late? Real flights and weather of 2013, from the files to an answered prediction.

`python -m examples.flight_delay.demo`, which is what `make demo` runs, does all of it in a Tilth of its own.
"""
