"""A bundle in, a process out; knows no names, images or options."""
