select schedule_id, start_time, end_time, note
from schedule_exclude
where schedule_id in (select value from json_each(:ids))
order by schedule_id, position
