"""What a person may do to the terminal app: keys and sizes of the terminal."""

KEYS = (
    "up", "down", "left", "right", "h", "j", "k", "l", "enter", "escape", "tab", "shift+tab", "m", "g", "v", "a", "u", "p",
    "e", "y", "c", "1", "2", "3", "4", "question_mark", "ctrl+p", "pageup", "pagedown", "home", "end", "backspace", "7", "x",
    "ctrl+z", "space",
)  # fmt: skip
OFTEN = ("escape",) * 14 + ("up", "down", "left", "right", "enter") * 3
"""Keys that come more often: back to the main screen, and around on it."""
SIZES = ((120, 36), (80, 24), (20, 5), (200, 60), (99, 29), (1, 1))
BURST = 5
"""Keys that come before the first of them has to be answered, as when one is held."""
STEPS: tuple[str | tuple[int, int], ...] = (KEYS + OFTEN) * 3 + SIZES
"""A key or a size; three in a hundred are sizes."""
