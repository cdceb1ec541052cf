update job set spec = :spec, shape_id = :shape, name = :name where id = :job
