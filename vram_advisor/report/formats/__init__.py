"""Answers as CSV, Markdown, HTML and SVG; imported only where one of them is asked for."""
