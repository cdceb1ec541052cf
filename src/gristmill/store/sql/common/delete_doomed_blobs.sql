delete from doomed_blob where blob = ?
