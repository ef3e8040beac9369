"""The tables: which there are, where they come from, and what they must satisfy."""
