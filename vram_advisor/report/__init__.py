"""An answer as text, table, bar or JSON: shared by the faces, which add nothing to it."""
