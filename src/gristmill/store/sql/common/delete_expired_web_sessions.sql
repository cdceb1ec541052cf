delete from web_session where ends_at <= :now
