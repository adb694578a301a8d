"""Manifest lists: images for several platforms under one name."""
