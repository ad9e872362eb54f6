"""Where studies are kept: databases and journal files, and the lock that writers of one study share."""
