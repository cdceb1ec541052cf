insert into worker (name, api_key, sealed_secret, description, enabled, applied)
values (:name, :api_key, :sealed_secret, :description, :enabled, :applied)
returning id
