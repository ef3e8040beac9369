"""The leaderboard: submissions are packed, checked and listed, and shown beside the baselines."""
