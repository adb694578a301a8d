"""What kills, reboots and cleaners left: healed by whoever meets it; and the starts at a boot."""
