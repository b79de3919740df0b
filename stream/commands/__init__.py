"""The commands of `kithkin` that need more than a file: what they ask for, and how they speak.

Law: a command module imports nothing heavy before its command runs.
"""

__all__: list[str] = []
