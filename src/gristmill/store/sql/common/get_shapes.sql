select id, cpu_shares, memory, disk, gpus, nodes, container, pool, constraints from shape where id > :after order by id
