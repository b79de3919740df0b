"""Change: e-detectors over streams, shifts of a mean and of a person, which cause moved, and false
discoveries among many.

Evidence here has a mean of at most 1 as long as nothing changes.
"""

__all__: list[str] = []
