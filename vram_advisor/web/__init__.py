"""The terminal app in a browser."""
