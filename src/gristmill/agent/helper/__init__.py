"""A short-lived process beside a job that moves its files: fetches, unpacks, packs and sends.

It runs as a process of the job, so that it ends with the job, counts as the job's memory, and
never holds up the agent.
"""
