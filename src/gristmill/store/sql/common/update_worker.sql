update worker
set name = :name, api_key = :api_key, sealed_secret = :sealed_secret, description = :description, enabled = :enabled
where id = :id
