"""All of compression that needs PyTorch: graphs as modules, and the training loop."""
