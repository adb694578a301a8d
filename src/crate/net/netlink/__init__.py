"""The rtnetlink messages of the hot path, byte by byte."""
