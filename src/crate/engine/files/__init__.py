"""The files of containers: seen, mounted, copied, compared, and made an archive or an image."""
