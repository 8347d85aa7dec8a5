//! The system calls that no job needs, refused by the kernel for the job and all that it starts.
//!
//! A list of what is refused, not of what is allowed: drivers and collective libraries call what no list of ours would have
//! foreseen, and a job that dies in its tenth hour of a missing entry teaches people to switch the filter off. What makes
//! such a list safe is that it has an end: a call newer than [`NEWEST_KNOWN`], and every number of another call table (x32,
//! 32-bit programs), does not exist for a job, so nothing new is let in before somebody has looked at it.
//!
//! Refused with "not permitted" (`refused` has the list):
//! - mounts and roots (`mount`, `umount2`, `pivot_root`, `chroot`, `move_mount`, `open_tree`, `fs*`, `mount_setattr`): the job's
//!   view of the file system is what hides the other jobs;
//! - namespaces (`setns`; `unshare` and `clone` with any namespace): in a user namespace of its own a job would have every
//!   capability, and with them the kernel code that only root reaches;
//! - the kernel itself (`kexec_*`, modules, `bpf`, `perf_event_open`, `reboot`, swap, `acct`, `syslog`, quota, `iopl`, `ioperm`,
//!   `lookup_dcookie`, `vhangup`, `fanotify_init`): the host's, or a view of other tenants' work;
//! - names and clocks of the host (`sethostname`, `setdomainname`, `settimeofday`, `clock_settime`): leases count on them;
//! - kernel keyrings (`add_key`, `request_key`, `keyctl`): they know no namespaces, so two jobs could meet there;
//! - `open_by_handle_at`: opens files around every mount that hides them;
//! - `userfaultfd`: stops the kernel half-way in a copy, which is what most exploits of races need; CUDA does without it;
//! - `io_uring_*`: a second door to nearly every call behind which this filter sees nothing, and the source of many kernel
//!   exploits; who uses it falls back to epoll;
//! - sockets to the hypervisor (`AF_VSOCK`) and of the kernel's ciphers (`AF_ALG`): the first leads out of every network rule.
//!
//! Not refused although Docker's profile did at times: `ptrace`, `process_vm_readv`, `kcmp`, `pidfd_getfd` (MPI and NCCL copy
//! between the ranks of one host by them; the kernel refuses them across users), `mbind` and `set_mempolicy` (NUMA placement
//! of pinned memory), `personality` (debuggers).
//!
//! Where a program asks "is there such a call" before it falls back, it is told "no such call": `clone3`, whose flags lie in
//! memory where a filter cannot read them, and all that is newer than this list.

use std::collections::BTreeMap;
use std::io;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter, sock_filter,
};

/// Newest call that somebody has judged for this list: `file_setattr` of Linux 6.17. The numbers are the same on every
/// architecture from 403 on.
pub const NEWEST_KNOWN: u32 = 469;
/// `open_tree_attr` of Linux 6.15, which the C library's list has not yet.
const OPEN_TREE_ATTR: i64 = 467;
/// `clone3`.
const CLONE3: u32 = 435;

/// Every flag of `clone` and `unshare` that makes a namespace.
const NAMESPACES: [libc::c_int; 8] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    // CLONE_NEWTIME: only `unshare` knows it; in `clone` the bit is part of the signal, which is at most 64.
    0x80,
];

/// Kinds of sockets that are refused.
const SOCKETS: [libc::c_int; 2] = [libc::AF_VSOCK, libc::AF_ALG];

/// Puts the filter on this thread, for good. Needs no privilege: new ones were given up before.
///
/// # Errors
/// When the kernel has no filters, or this program was built for a machine that the list does not know.
pub(super) fn install() -> io::Result<()> {
    for program in [listed()?, unknown()] {
        apply_filter(&program).map_err(io::Error::other)?;
    }
    Ok(())
}

/// Whole calls that are refused.
fn refused() -> Vec<i64> {
    let mut calls = vec![
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_move_mount,
        libc::SYS_open_tree,
        OPEN_TREE_ATTR,
        libc::SYS_fsopen,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_fspick,
        libc::SYS_mount_setattr,
        libc::SYS_setns,
        libc::SYS_kexec_load,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_acct,
        libc::SYS_syslog,
        libc::SYS_quotactl,
        libc::SYS_quotactl_fd,
        libc::SYS_lookup_dcookie,
        libc::SYS_vhangup,
        libc::SYS_fanotify_init,
        libc::SYS_sethostname,
        libc::SYS_setdomainname,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_keyctl,
        libc::SYS_open_by_handle_at,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_kexec_file_load,
    ];
    #[cfg(target_arch = "x86_64")]
    calls.extend([libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_uselib]);
    calls.sort_unstable();
    calls
}

/// A rule: argument `index` has all bits of `mask` as in `value`.
fn argument(index: u8, mask: u64, value: u64) -> io::Result<SeccompRule> {
    let operator = SeccompCmpOp::MaskedEq(mask);
    SeccompCondition::new(index, SeccompCmpArgLen::Qword, operator, value)
        .and_then(|condition| SeccompRule::new(vec![condition]))
        .map_err(io::Error::other)
}

fn listed() -> io::Result<BpfProgram> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        refused().into_iter().map(|call| (call, Vec::new())).collect();
    let bit = |flag: libc::c_int| {
        let flag = u64::from(flag.unsigned_abs());
        argument(0, flag, flag)
    };
    rules.insert(libc::SYS_unshare, NAMESPACES.into_iter().map(bit).collect::<io::Result<_>>()?);
    let in_clone = NAMESPACES.into_iter().filter(|flag| *flag != 0x80);
    rules.insert(libc::SYS_clone, in_clone.map(bit).collect::<io::Result<_>>()?);
    let family = |family: libc::c_int| argument(0, u32::MAX.into(), family.unsigned_abs().into());
    rules.insert(libc::SYS_socket, SOCKETS.into_iter().map(family).collect::<io::Result<_>>()?);
    let arch: TargetArch = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
    let no = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, no, arch)
        .and_then(BpfProgram::try_from)
        .map_err(io::Error::other)
}

/// "No such call" for what is newer than the list, for `clone3`, and for the x32 table, whose numbers have bit 30. The
/// other program has refused every other architecture by then: of two filters the stricter word counts.
fn unknown() -> BpfProgram {
    const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const IF_GREATER: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
    const IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    const NUMBER_AT: u32 = 0; // offset of `nr` in `struct seccomp_data`
    let none = u32::from(SeccompAction::Errno(libc::ENOSYS.unsigned_abs()));
    let allow = u32::from(SeccompAction::Allow);
    let line = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        line(LOAD, 0, 0, NUMBER_AT),
        line(IF_GREATER, 2, 0, NEWEST_KNOWN),
        line(IF_EQUAL, 1, 0, CLONE3),
        line(RETURN, 0, 0, allow),
        line(RETURN, 0, 0, none),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_programs_are_made_for_this_machine() {
        assert!(listed().unwrap().len() > refused().len());
        assert_eq!(unknown().len(), 5);
        let calls = refused();
        let distinct: std::collections::BTreeSet<i64> = calls.iter().copied().collect();
        assert_eq!(distinct.len(), calls.len());
        assert!(calls.iter().all(|call| *call <= i64::from(NEWEST_KNOWN)));
        // What jobs live by.
        for needed in [libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_mbind] {
            assert!(!calls.contains(&needed));
        }
    }
}
