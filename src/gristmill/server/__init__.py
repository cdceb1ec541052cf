"""The process: settings, listeners, gateway, limits, logs."""
