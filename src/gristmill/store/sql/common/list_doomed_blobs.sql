select blob from doomed_blob limit :most
