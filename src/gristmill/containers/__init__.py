"""Container images in a folder, and the engines that run them as plain child processes."""
