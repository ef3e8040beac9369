"""Predictions made elsewhere: read, checked to the last value, and scored."""
