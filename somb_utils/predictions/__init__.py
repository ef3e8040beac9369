"""Predictions made elsewhere: read, checked to the last value, and scored. Its face is `somb_utils.evaluate`."""

__all__: list[str] = []
