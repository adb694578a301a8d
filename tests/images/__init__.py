"""The real images of the tests: recipes, the cache that holds what they made, and a registry that serves it."""
