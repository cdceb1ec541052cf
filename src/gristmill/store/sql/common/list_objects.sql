select name, blob, size, sha256, modified_at from object where space = :space and name >= :low and name < :high order by name limit :most
