"""The language of Dockerfiles: from text to instructions, and from these to expanded ones."""
