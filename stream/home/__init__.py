"""One household: `step` takes an event and gives what is to be said of it, and nothing else decides
anything.

`step` is one screen; `context` is what one step carries along, `codec` the home as bytes. Below stand what is
remembered (`state`), who it was (`recognition`), what that teaches (`learning`), what changed (`drift`) and
what people say (`feedback`). No clock, no chance, no network, no log.
"""

__all__: list[str] = []
