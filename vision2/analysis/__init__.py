"""What the numbers say: metrics, intervals, verdicts, figures, attribution maps and the report page."""
