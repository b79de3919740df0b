"""The fleet stage as a service, and those who follow its alerts.

`processor` is the stage over a store, `service` its process on Kafka, `subscribe` typed alerts for others,
`webhook` their delivery.
"""

__all__: list[str] = []
