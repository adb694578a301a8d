"""A user namespace of a single id, for want of subordinate ones: nobody but root owns a file in it (decision 171)."""


def maps_one_id() -> bool:
    """Is this process in one?"""
    with open("/proc/self/uid_map", "rb") as uid_map:
        return sum(int(line.split()[2]) for line in uid_map) == 1


def owner_here(uid: int, gid: int) -> tuple[int, int]:
    """Whose a file becomes here that is meant to be somebody's: root's, where there is nobody else."""
    return (0, 0) if maps_one_id() else (uid, gid)
