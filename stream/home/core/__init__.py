"""The compiled core: what an event says, teaches and changes, as kernels on HOME. Numbers only; entered once for a batch.

`apply` is the flow; each other module is one concern, a straight list of learners' kernels.
"""

__all__: list[str] = []
