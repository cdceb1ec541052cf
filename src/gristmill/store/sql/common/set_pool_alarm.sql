update pool set alarmed = :alarmed where id = :id
