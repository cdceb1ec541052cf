"""The REST interface of Job-Runner: schedules, projects and pools of workers."""
