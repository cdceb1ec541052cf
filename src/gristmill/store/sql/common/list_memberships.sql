select membership.account_id, user_group.name
from membership join user_group on user_group.id = membership.group_id
order by user_group.name
