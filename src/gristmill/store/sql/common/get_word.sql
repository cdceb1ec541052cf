select text from word where id = :id
