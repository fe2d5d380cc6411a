"""The model scored on ledgers of measurements."""
