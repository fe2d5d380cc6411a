"""What an estimate means for a person: the verdict."""
