"""Tables, models, notebooks and scripts of owners, and the tasks that work on them."""
