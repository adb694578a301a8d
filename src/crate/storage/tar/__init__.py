"""Tar archives as streams: read without touching a disk, written as image layers have them."""
