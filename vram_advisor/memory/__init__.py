"""Bytes: what is alive in which phase, and why."""
