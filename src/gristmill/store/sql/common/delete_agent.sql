delete from agent where id = :agent
