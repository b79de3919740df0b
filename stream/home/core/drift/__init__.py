"""What an answered event says of change in a home: monitors, causes, what is reported and what is done about it."""

__all__: list[str] = []
