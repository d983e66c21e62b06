"""What a sweep's summary looks like: a table for a terminal, a CSV file, a figure."""
