"""The tracking store: creation, connection, detection of moved folders, and the default view of its pages."""
