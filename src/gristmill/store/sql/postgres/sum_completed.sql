select sum(runs_succeeded), sum(runs_failed), sum(runs_unjudged), sum(logs)
from schedule
where id = any(:ids)
