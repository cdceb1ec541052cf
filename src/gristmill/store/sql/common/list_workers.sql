select id, applied, name, api_key, sealed_secret, description, enabled from worker order by name
