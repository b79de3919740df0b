"""Second factors: what is signed by somebody whose public key the policy lists, and the sightings that some of it needs."""

__all__: list[str] = []
