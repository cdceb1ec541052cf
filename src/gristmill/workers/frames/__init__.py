"""Tables: from JSON to columns, from columns to Parquet, and back."""
