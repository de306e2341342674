"""What the console asks of the engine."""
