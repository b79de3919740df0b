"""Why an event was answered as it was: its home's records again, and the core's own posterior taken apart.

Law: nothing is worked out a second time. Every number is one that the core's kernels gave, for some of their terms or for all;
and whatever "would have been" is a record, or a policy, that was really run.
"""

__all__: list[str] = []
