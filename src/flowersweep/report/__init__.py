"""What a run or a study looks like: figures, tables, and the page that gathers them."""
