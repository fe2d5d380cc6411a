"""The command line. It reads options, calls the API and prints; everything else is done below it."""

import gc
import os

# A command lives for a fraction of a second: looking for cycles while modules load costs a tenth of that.
gc.set_threshold(100_000, 50, 50)

# The program has no plugins of pydantic, and looking for them reads the metadata of every installed package.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
