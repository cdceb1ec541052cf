"""What a description may say. Each check raises RefusedError with the first problem's text."""
