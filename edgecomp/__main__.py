"""`python -m edgecomp` is the command line, too."""

from edgecomp.cli.app import main

if __name__ == "__main__":
    main()
