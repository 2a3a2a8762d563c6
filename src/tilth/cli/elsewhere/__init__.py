"""A deployment outside of Tilth: as an image, as manifests of other platforms, on Ray."""
