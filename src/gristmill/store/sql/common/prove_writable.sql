update schema_version set version = version
