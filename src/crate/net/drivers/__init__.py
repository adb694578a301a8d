"""The drivers of networks, and the host's interfaces that they hang on."""
