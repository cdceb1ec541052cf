update sequence set value = value + :count where name = 'workflow_node' returning value
