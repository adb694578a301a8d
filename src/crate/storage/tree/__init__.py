"""Trees of strangers' files: walked, copied, packed and unpacked by descriptors."""
