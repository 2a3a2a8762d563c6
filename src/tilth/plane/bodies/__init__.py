"""Reading what takes long to read: large JSON, CSV and Parquet become arrays in processes beside the model server.

A thread would not do: Python's readers keep the interpreter to themselves for as long as they read, and a small Parquet file can
become gigabytes. Such a process has a bound of memory and of time, and when it ends nobody else is harmed.
"""

from tilth.plane.bodies.reader import BodyReader

__all__ = ["BodyReader"]
