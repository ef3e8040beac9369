"""The leaderboard: submissions are packed, checked and listed, and shown beside the baselines. Its face is ``somb``."""

__all__: list[str] = []
