"""Warm Python processes below the agent; they alone import pandas, pyarrow and scikit-learn."""
