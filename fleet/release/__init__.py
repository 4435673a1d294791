"""Workloads and templates to task definitions and services per store.

Why task definitions are addressed by their content: stores that render the same body share one
revision, so a fleet of 10,000 stores registers a handful of revisions. RegisterTaskDefinition
refills at one call per second, and nothing has to remember which revision belongs to which
release: equal content is the same release, and a rerun registers nothing. The digest is the
SHA-256 of the canonical JSON and is written as a tag on the revision.

Why one service per workload and variant: an ECS service has one task definition, and arm64 and
amd64 hosts need different images, limits and devices. ``vision-arm64`` and ``vision-amd64`` are
rolled out, judged and rolled back separately, and placement constraints keep each on its hosts.
One service with a multi-arch image would hide which kind of host fails.
"""
