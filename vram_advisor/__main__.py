"""``python -m vram_advisor``: the command line."""

from vram_advisor.cli.app import main

if __name__ == "__main__":
    main()
