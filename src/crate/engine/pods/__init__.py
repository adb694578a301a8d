"""Pods: their record and sandbox, their members, the verbs on them, and Kubernetes objects as pods."""
