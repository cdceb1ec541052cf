insert into word (id, text) select coalesce(max(id), 0) + 1, :text from word returning id
