"""Queues: domain records, active and delayed mail, who may take which message when."""
