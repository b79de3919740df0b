"""What is signed: records that count only with a signature of somebody whose public key the policy lists."""

__all__: list[str] = []
