"""The commands around registries: who we are there, and what they have."""
