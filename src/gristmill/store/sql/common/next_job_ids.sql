update sequence set value = value + :count where name = 'job' returning value
