"""User namespaces and id maps, joining namespaces, the one entry into rootless."""
