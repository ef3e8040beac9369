"""``python -m somb_utils.cli``, for where ``somb`` is not on the path."""

from somb_utils.cli import main

main()
