select name, blob, size, sha256, modified_at from object where space = :space and name = :name
