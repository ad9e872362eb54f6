"""Storages of studies: databases and journal files, and the lock that all writers of a study share."""
