"""The HTTP front end: takes uploads into storage, keeps the record of each job, answers from it."""
