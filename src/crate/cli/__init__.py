"""The command line: one file a command, rendering, and the only place that prints errors and exits."""
