select bucket, resource, value from learned order by bucket, resource, value
