"""Mount options of ext2: from the super block's defaults, and from the text that mount gives.

Kernel: v3.6 fs/ext2/super.c
"""

from __future__ import annotations

import errno

from xiplab.linux.fs.ext2.ext2 import (
    EXT2_MOUNT_DEBUG,
    EXT2_MOUNT_ERRORS,
    EXT2_MOUNT_ERRORS_CONT,
    EXT2_MOUNT_ERRORS_PANIC,
    EXT2_MOUNT_ERRORS_RO,
    EXT2_MOUNT_GRPID,
    EXT2_MOUNT_MINIX_DF,
    EXT2_MOUNT_NO_UID32,
    EXT2_MOUNT_OLDALLOC,
    EXT2_MOUNT_POSIX_ACL,
    EXT2_MOUNT_RESERVATION,
    EXT2_MOUNT_XATTR_USER,
    EXT2_MOUNT_XIP,
    EXT2_SB,
    Ext2SbInfo,
    ext2_msg,
)
from xiplab.linux.fs.ext2.ext2_fs import (
    EXT2_DEFM_ACL,
    EXT2_DEFM_BSDGROUPS,
    EXT2_DEFM_DEBUG,
    EXT2_DEFM_UID16,
    EXT2_DEFM_XATTR_USER,
    EXT2_ERRORS_CONTINUE,
    EXT2_ERRORS_PANIC,
)
from xiplab.linux.include.fs import SuperBlock

OPTION_FLAGS = {
    "bsddf": (0, EXT2_MOUNT_MINIX_DF), "minixdf": (EXT2_MOUNT_MINIX_DF, 0),
    "grpid": (EXT2_MOUNT_GRPID, 0), "bsdgroups": (EXT2_MOUNT_GRPID, 0),
    "nogrpid": (0, EXT2_MOUNT_GRPID), "sysvgroups": (0, EXT2_MOUNT_GRPID),
    "errors=panic": (EXT2_MOUNT_ERRORS_PANIC, EXT2_MOUNT_ERRORS),
    "errors=remount-ro": (EXT2_MOUNT_ERRORS_RO, EXT2_MOUNT_ERRORS),
    "errors=continue": (EXT2_MOUNT_ERRORS_CONT, EXT2_MOUNT_ERRORS),
    "nouid32": (EXT2_MOUNT_NO_UID32, 0), "debug": (EXT2_MOUNT_DEBUG, 0),
    "check=none": (0, 0), "nocheck": (0, 0), "nobh": (0, 0), "xip": (EXT2_MOUNT_XIP, 0),
    "oldalloc": (EXT2_MOUNT_OLDALLOC, 0), "orlov": (0, EXT2_MOUNT_OLDALLOC),
    "reservation": (EXT2_MOUNT_RESERVATION, 0), "noreservation": (0, EXT2_MOUNT_RESERVATION),
    "user_xattr": (EXT2_MOUNT_XATTR_USER, 0), "nouser_xattr": (0, EXT2_MOUNT_XATTR_USER),
    "acl": (EXT2_MOUNT_POSIX_ACL, 0), "noacl": (0, EXT2_MOUNT_POSIX_ACL),
}
"""Option: (flags it sets, flags it clears before)."""

QUOTA_OPTIONS = ("quota", "usrquota", "grpquota")


def einval(sb: SuperBlock, why: str, *, silent: bool = False) -> OSError:
    """The error of a mount that is refused, with a line in the log."""
    if not silent:
        ext2_msg(sb, f"error: {why}")
    return OSError(errno.EINVAL, f"{sb}: {why}")


def get_sb_block(sb: SuperBlock, data: str) -> int:
    """Where the super block is, in KiB: 1, or what the option `sb=` says (a backup)."""
    for option in data.split(","):
        if option.startswith("sb="):
            return _number(sb, option)
    return 1


def _number(sb: SuperBlock, option: str) -> int:
    """The number behind the "=" of an option, below 2**31."""
    value = option.partition("=")[2]
    if not (value.isascii() and value.isdigit() and int(value) < 1 << 31):
        raise einval(sb, f'Unrecognized mount option "{option}"')
    return int(value)


def parse_options(sb: SuperBlock, data: str) -> None:
    """Set the mount's flags from "option,option". Quotas are ignored, as in a kernel without them.

    Raises:
        OSError: EINVAL an option that is unknown ("noxip" is one: xip cannot be switched off).
    """
    info = EXT2_SB(sb)
    for option in data.split(","):
        if option in OPTION_FLAGS:
            set_flags, clear_flags = OPTION_FLAGS[option]
            info.s_mount_opt = info.s_mount_opt & ~clear_flags | set_flags
        elif option.startswith("resuid="):
            info.s_resuid = _number(sb, option)
        elif option.startswith("resgid="):
            info.s_resgid = _number(sb, option)
        elif option.startswith("sb="):
            _number(sb, option)
        elif option in QUOTA_OPTIONS:
            ext2_msg(sb, "quota operations not supported")
        elif option and option != "noquota":
            raise einval(sb, f'Unrecognized mount option "{option}" or missing value')


def default_options(info: Ext2SbInfo) -> None:
    """What the super block says about the options that are not given."""
    es = info.s_es
    defaults = es.s_default_mount_opts
    for default, flag in ((EXT2_DEFM_DEBUG, EXT2_MOUNT_DEBUG), (EXT2_DEFM_BSDGROUPS, EXT2_MOUNT_GRPID),
                          (EXT2_DEFM_UID16, EXT2_MOUNT_NO_UID32), (EXT2_DEFM_ACL, EXT2_MOUNT_POSIX_ACL),
                          (EXT2_DEFM_XATTR_USER, EXT2_MOUNT_XATTR_USER)):
        if defaults & default:
            info.s_mount_opt |= flag
    on_error = {EXT2_ERRORS_PANIC: EXT2_MOUNT_ERRORS_PANIC, EXT2_ERRORS_CONTINUE: EXT2_MOUNT_ERRORS_CONT}
    info.s_mount_opt |= on_error.get(es.s_errors, EXT2_MOUNT_ERRORS_RO) | EXT2_MOUNT_RESERVATION
    info.s_resuid, info.s_resgid = es.s_def_resuid, es.s_def_resgid


def ext2_show_options(sb: SuperBlock) -> str:
    """The options as /proc/mounts shows them."""
    info = EXT2_SB(sb)
    shown = [name for name in ("minixdf", "grpid", "nouid32", "debug", "errors=remount-ro", "errors=panic",
                               "xip") if info.s_mount_opt & OPTION_FLAGS[name][0]]
    if info.s_sb_block != 1:
        shown.append(f"sb={info.s_sb_block}")
    return ",".join(shown)
