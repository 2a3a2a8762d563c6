"""What `tilth doctor` looks at. Each check takes what it needs as arguments and returns findings; it changes nothing."""

from tilth.cli.checks.findings import Condition, Finding

__all__ = ["Condition", "Finding"]
