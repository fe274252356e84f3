"""A small HTTP and WebSocket service around one model; needs the extra ``serve``."""
