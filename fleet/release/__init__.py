"""Workloads and templates to task definitions and services per store."""
