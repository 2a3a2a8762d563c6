"""Pure rules of tracking."""
