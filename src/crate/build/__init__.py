"""Building images: the language of Dockerfiles, build contexts, and what COPY and ADD take from them.

bytes ── dockerfile.parse ──> Dockerfile: global ARGs, stages, typed instructions; nothing expanded
Dockerfile, arguments.Arguments ── stages.resolve ──> Graph: what each stage builds on, and what the target needs
arguments.Scope: the variables of one stage; expanding.expanded(instruction, ...) ──> the one to be executed
context.open_context(...) ──> Context: a tree beneath a descriptor, and what .dockerignore leaves of it
copying.select(tree, ...) ──> Selection: sorted entries with their destinations, and a digest for the cache
"""
