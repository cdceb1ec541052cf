select j.id, w.state, j.superseded_by from job j join workflow w on w.id = j.workflow_id where j.id = any(:ids)
