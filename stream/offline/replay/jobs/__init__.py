"""A replay's households, spread over several processes.

`processes` begins and ends them, `pool` is the replay's side, `job` is theirs, `messages` what goes between.

Law: how many there are changes speed, never a byte.
"""

__all__: list[str] = []
