from somb_utils.cli import main

main()
