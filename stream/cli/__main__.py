"""`python -m stream.cli`: the same as `kithkin`."""

from .app import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
