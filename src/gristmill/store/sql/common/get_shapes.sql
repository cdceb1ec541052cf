select id, cpu_shares, memory, disk, gpus, nodes, container, pool, constraints, bucket, override, disk_given, seconds from shape where id > :after order by id
