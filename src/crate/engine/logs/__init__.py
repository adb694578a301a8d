"""What containers write: the drivers that keep it, and reading it back."""
