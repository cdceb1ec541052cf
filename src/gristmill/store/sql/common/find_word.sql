select id from word where text = :text
