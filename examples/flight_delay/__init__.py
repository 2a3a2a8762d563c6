"""Which flights out of New York arrive late? Real flights and weather of 2013, from the files to an answered prediction.

`python -m flight_delay` (with `examples` on the path, as `make demo` has it) runs all of it against a running Tilth.
"""
