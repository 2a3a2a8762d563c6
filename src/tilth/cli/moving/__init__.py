"""Moving in and out: readers of other systems' stores, what lands them here, and open files that hold a whole project."""
