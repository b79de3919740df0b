"""Forms of log files other than our own lines: how they are packed, and what stands on a line.

`packings` unpacks, `parquet` gives rows as lines, `forms` tells a file's form from its first line; `console`, `envelopes` and
`bare` are the forms themselves. What a form cannot carry is put in its place by a rule, which the form says.
"""

__all__: list[str] = []
