"""Seconds of a training step, a prompt and a token, from operations, bytes and measured efficiencies."""
