"""Figures that one notebook alone uses, beside it: change them and run the notebook again."""
