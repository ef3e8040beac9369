"""Descriptions and copies of tasks, tables and runs in the forms that other services and tools read."""
