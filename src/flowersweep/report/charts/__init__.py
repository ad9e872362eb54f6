"""The charts of the report: their data series, the Plotly charts of the page, and the PNG files."""
