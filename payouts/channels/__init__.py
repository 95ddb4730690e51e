"""The channels by which others are told, a file each."""
