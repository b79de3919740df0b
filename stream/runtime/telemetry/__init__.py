"""What a service tells of itself: metrics, probes and log lines, none of which names anybody.

`registry` names every metric once; `metering` counts at the ports.
"""

__all__: list[str] = []
