"""Kinds of sources, a module each, and the table that finds the kind of what a user gives."""
