"""`python -m bench`: how fast `kithkin replay` is, where the time goes, and what a person weighs."""

from .throughput import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
