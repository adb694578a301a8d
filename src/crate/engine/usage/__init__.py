"""What containers, images and volumes use: counters, processes, disk."""
