"""Results as Markdown and as a page."""
