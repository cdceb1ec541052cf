select path from data_blob where dead = 1 and since < :before order by since limit :limit
