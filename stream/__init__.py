"""kithkin: learns, continuously and from real life, who is who in a household."""

__all__ = ["__version__"]

__version__ = "0.1.0"
