select project_group.project_id, project_group.role, user_group.name
from project_group join user_group on user_group.id = project_group.group_id
order by user_group.name
