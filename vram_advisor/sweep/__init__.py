"""Many questions at once: the same estimates and verdicts, evaluated on arrays and written as rows."""
