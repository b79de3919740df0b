"""The drill: real workers on a real Kafka and Redis, under load, and every way in which they fail.

    python -m tests.drill --help

Law: whatever strikes, every recognition is answered exactly once and the states equal a serial run of the journalled batches.
The checker reads the topics and Redis by itself; that it can fail is shown by workers that are sabotaged on purpose.
"""
