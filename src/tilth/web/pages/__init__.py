"""The pages, one module for one part of the navigation. Each asks the same queries and calls the same actions as the API."""
