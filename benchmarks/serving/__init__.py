"""Model servers beside one another: see __main__.py."""
