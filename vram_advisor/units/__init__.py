"""Bytes, intervals and array helpers: the ground floor."""
