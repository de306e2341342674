"""Event loops: one uv loop and one thread each, posts between them, suspension tokens, thread pools."""
