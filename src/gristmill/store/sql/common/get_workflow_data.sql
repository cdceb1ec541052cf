select spec, dialect_data from workflow where id = :workflow
