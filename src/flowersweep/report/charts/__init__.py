"""The charts of the report: the series they show, their Plotly form for the page, and their form as PNG files."""
