#include "io/process/sandbox.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

namespace weir {
namespace {

void SetLimit(int resource, uint64_t value) {
  rlimit limit{value, value};
  setrlimit(static_cast<__rlimit_resource_t>(resource), &limit);
}

void SetLimits(const SandboxRules& rules) {
  if (rules.address_space > 0) SetLimit(RLIMIT_AS, rules.address_space);
  SetLimit(RLIMIT_FSIZE, 0);
  SetLimit(RLIMIT_CORE, 0);
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) SetLimit(RLIMIT_NOFILE, files.rlim_max);
}

// Newer rights than the headers know are left out: what the kernel does not handle it does not
// stop, and seccomp covers it.
constexpr uint64_t kFileRights =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |
    LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
    LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
    LANDLOCK_ACCESS_FS_MAKE_SYM;

bool EnterLandlock(const SandboxRules& rules) {
  landlock_ruleset_attr attributes{};
  attributes.handled_access_fs = kFileRights;
  int set = static_cast<int>(
      syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes.handled_access_fs), 0));
  if (set < 0) return false;
  bool complete = true;
  for (auto& folder : rules.readable) {
    landlock_path_beneath_attr path{};
    path.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    path.parent_fd = open(folder.c_str(), O_PATH | O_CLOEXEC);
    if (path.parent_fd < 0) continue;  // not there: nothing in it to read
    if (syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &path, 0) != 0) {
      complete = false;
    }
    close(path.parent_fd);
  }
  complete = complete && syscall(SYS_landlock_restrict_self, set, 0) == 0;
  close(set);
  return complete;
}

#ifdef __x86_64__

// What computing, threads and reading files need.  Everything else fails with EPERM.
constexpr int kAllowed[] = {SYS_read,
                            SYS_pread64,
                            SYS_readv,
                            SYS_preadv,
                            SYS_write,
                            SYS_writev,
                            SYS_close,
                            SYS_lseek,
                            SYS_fstat,
                            SYS_stat,
                            SYS_lstat,
                            SYS_newfstatat,
                            SYS_statx,
                            SYS_statfs,
                            SYS_fstatfs,
                            SYS_access,
                            SYS_faccessat,
                            SYS_faccessat2,
                            SYS_readlink,
                            SYS_readlinkat,
                            SYS_getcwd,
                            SYS_getdents64,
                            SYS_fcntl,
                            SYS_flock,
                            SYS_fadvise64,
                            SYS_readahead,
                            SYS_dup,
                            SYS_mmap,
                            SYS_munmap,
                            SYS_mprotect,
                            SYS_mremap,
                            SYS_madvise,
                            SYS_brk,
                            SYS_mincore,
                            SYS_futex,
                            SYS_futex_waitv,
                            SYS_set_robust_list,
                            SYS_get_robust_list,
                            SYS_rseq,
                            SYS_set_tid_address,
                            SYS_sched_yield,
                            SYS_sched_getaffinity,
                            SYS_sched_setaffinity,
                            SYS_sched_getparam,
                            SYS_sched_getscheduler,
                            SYS_membarrier,
                            SYS_getcpu,
                            SYS_get_mempolicy,
                            SYS_clock_gettime,
                            SYS_clock_getres,
                            SYS_clock_nanosleep,
                            SYS_nanosleep,
                            SYS_gettimeofday,
                            SYS_time,
                            SYS_times,
                            SYS_rt_sigaction,
                            SYS_rt_sigprocmask,
                            SYS_rt_sigreturn,
                            SYS_sigaltstack,
                            SYS_restart_syscall,
                            SYS_getpid,
                            SYS_gettid,
                            SYS_getuid,
                            SYS_geteuid,
                            SYS_getgid,
                            SYS_getegid,
                            SYS_uname,
                            SYS_sysinfo,
                            SYS_getrusage,
                            SYS_getrlimit,
                            SYS_getrandom,
                            SYS_prctl,
                            SYS_poll,
                            SYS_ppoll,
                            SYS_sendto,
                            SYS_recvfrom,
                            SYS_sendmsg,
                            SYS_recvmsg,
                            SYS_exit,
                            SYS_exit_group};

constexpr sock_filter Load(size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset));
}
constexpr sock_filter Return(uint32_t what) { return BPF_STMT(BPF_RET | BPF_K, what); }
constexpr uint32_t Refuse(int error) {
  return SECCOMP_RET_ERRNO | (static_cast<uint32_t>(error) & SECCOMP_RET_DATA);
}
constexpr size_t Argument(int index) { return offsetof(seccomp_data, args) + 8 * index; }

// Skips `instructions` unless the loaded value equals `value`.
sock_filter Unless(uint32_t value, uint8_t instructions) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, instructions);
}

bool EnterSeccomp() {
  std::vector<sock_filter> program;
  program.push_back(Load(offsetof(seccomp_data, arch)));
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
  program.push_back(Return(SECCOMP_RET_KILL_PROCESS));
  program.push_back(Load(offsetof(seccomp_data, nr)));
  for (int number : kAllowed) {
    program.push_back(Unless(static_cast<uint32_t>(number), 1));
    program.push_back(Return(SECCOMP_RET_ALLOW));
  }
  // Files only to read them.
  program.push_back(Unless(SYS_openat, 5));
  program.push_back(Load(Argument(2)));
  program.push_back(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, O_ACCMODE | O_CREAT | O_TRUNC));
  program.push_back(Unless(O_RDONLY, 1));
  program.push_back(Return(SECCOMP_RET_ALLOW));
  program.push_back(Return(Refuse(EACCES)));
  // Threads, but no processes.  clone3 hides its flags: glibc falls back to clone.
  program.push_back(Unless(SYS_clone3, 1));
  program.push_back(Return(Refuse(ENOSYS)));
  program.push_back(Unless(SYS_clone, 4));
  program.push_back(Load(Argument(0)));
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1));
  program.push_back(Return(SECCOMP_RET_ALLOW));
  program.push_back(Return(Refuse(EPERM)));
  // Limits of ourselves may be read and lowered (to raise one needs rights we do not have).
  program.push_back(Unless(SYS_prlimit64, 4));
  program.push_back(Load(Argument(0)));
  program.push_back(Unless(0, 1));
  program.push_back(Return(SECCOMP_RET_ALLOW));
  program.push_back(Return(Refuse(EPERM)));
  // A signal to ourselves is how abort() ends a process.
  program.push_back(Unless(SYS_tgkill, 4));
  program.push_back(Load(Argument(0)));
  program.push_back(Unless(static_cast<uint32_t>(getpid()), 1));
  program.push_back(Return(SECCOMP_RET_ALLOW));
  program.push_back(Return(Refuse(EPERM)));
  program.push_back(Return(Refuse(EPERM)));
  sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0;
}

#else

bool EnterSeccomp() { return false; }

#endif

}  // namespace

Sandbox EnterSandbox(const SandboxRules& rules) {
  Sandbox sandbox;
  SetLimits(rules);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return sandbox;
  sandbox.landlock = EnterLandlock(rules);
  sandbox.seccomp = EnterSeccomp();
  return sandbox;
}

void LimitCpuTime(uint64_t seconds) {
  rusage used{};
  rlimit limit{};
  if (getrusage(RUSAGE_SELF, &used) != 0 || getrlimit(RLIMIT_CPU, &limit) != 0) return;
  limit.rlim_cur = static_cast<rlim_t>(used.ru_utime.tv_sec + used.ru_stime.tv_sec + 1) + seconds;
  if (limit.rlim_cur > limit.rlim_max) limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_CPU, &limit);
}

}  // namespace weir
