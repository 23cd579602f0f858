"""Paper 15: adversarial surprise."""
