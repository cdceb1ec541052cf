select min(ready_at) from job where state = 2
