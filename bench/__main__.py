"""`python -m bench`: how fast a worker is, where the time goes, and what a person has in bytes."""

from .throughput import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
