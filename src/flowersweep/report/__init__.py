"""The report of a study: charts, tables, and the page that contains them."""
