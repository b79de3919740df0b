"""Two runs side by side: whether they say the same, what differs, and by what change.

Law: runs are compared by what they published and by their manifests; a cause is named only after homes were replayed with it.
"""

__all__: list[str] = []
