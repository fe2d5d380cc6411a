"""Sentences that go to a person or a program in one line, whatever was typed into them."""

LONGEST_WORD = 300
"""Characters of one word; the names of files are shorter."""
LONGEST_LINE = 4000


def one_line(text: str) -> str:
    """Text as one printable line, in which long words and the line itself end in dots.

    >>> one_line("no GPU is called '4090\\n'")
    "no GPU is called '4090 '"
    """
    words = (word if len(word) <= LONGEST_WORD else f"{word[:LONGEST_WORD]}..." for word in text.split())
    line = "".join(character if character.isprintable() else "?" for character in " ".join(words))
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..."
