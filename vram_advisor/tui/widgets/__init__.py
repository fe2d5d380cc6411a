"""The panels. Each shows one value and says upward, in messages named for facts, what a person did."""
