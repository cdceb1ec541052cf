select front from mutex where id = :mutex
