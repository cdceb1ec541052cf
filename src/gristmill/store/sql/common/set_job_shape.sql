update job set shape_id = :shape where id = :job
