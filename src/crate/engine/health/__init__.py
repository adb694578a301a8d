"""Health checks: when they run, what they run, and what they have found."""
