"""The object store: bytes under names, behind signed URLs."""
