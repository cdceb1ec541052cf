select live from dep_group where id = :group
