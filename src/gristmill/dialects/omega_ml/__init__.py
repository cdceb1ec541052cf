"""The REST interface of omega-ml: datasets, models, notebooks, scripts and their tasks."""
