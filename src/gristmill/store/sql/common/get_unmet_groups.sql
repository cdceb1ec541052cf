select w.text, g.live from dep_group_waiter x join dep_group g on g.id = x.group_id join word w on w.id = g.id where x.job_id = :job and g.live > 0 order by w.text limit :most
