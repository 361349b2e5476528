/*
 * One attempt to leave a sandbox, by its name: says `done` and exits with 0 if it worked, or `denied` and the error and exits
 * with 1. Bombs and programs that leave something in /output do what they are named for.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *argument;

static long refuse(int number) {
  errno = number;
  return -1;
}

static long try_mount(void) { return mount("none", "/tmp", "tmpfs", 0, NULL); }
static long try_remount(void) { return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL); }
static long try_umount(void) { return umount2("/proc", MNT_DETACH); }
static long try_pivot(void) { return syscall(SYS_pivot_root, "/tmp", "/tmp"); }
static long try_open_tree(void) { return syscall(SYS_open_tree, AT_FDCWD, "/", 1); }
static long try_chroot(void) { return chroot("/tmp"); }
static long try_keyctl(void) { return syscall(SYS_keyctl, 0, -4, 1); }
static long try_add_key(void) { return syscall(SYS_add_key, "user", "fogproof-escape", "x", 1, -1); }
static long try_unshare_user(void) { return unshare(CLONE_NEWUSER); }
static long try_unshare_net(void) { return unshare(CLONE_NEWNET); }
static long try_userfaultfd(void) { return syscall(SYS_userfaultfd, O_CLOEXEC); }
static long try_kexec(void) { return syscall(SYS_kexec_load, 0, 0, NULL, 0); }
static long try_module(void) { return syscall(SYS_init_module, "", 0, ""); }
static long try_setuid(void) { return setuid(0); }
static long try_tiocsti(void) { return ioctl(0, TIOCSTI, "x"); }
static long try_hostname(void) { return sethostname("escaped", 7); }
static long try_raw_socket(void) { return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP); }
static long try_packet_socket(void) { return socket(AF_PACKET, SOCK_RAW, 0); }
static long try_netlink(void) { return socket(AF_NETLINK, SOCK_RAW, 0); }
static long try_signal(void) { return kill(atoi(argument), 0); }
static long try_device_node(void) { return mknod("/tmp/escape-node", S_IFCHR | 0666, makedev(1, 1)); }
static long try_device_mode(void) { return chmod("/dev/null", 0666); }
static long try_proc_sys(void) { return open("/proc/sys/kernel/core_pattern", O_WRONLY); }
static long try_proc_write(void) { return open("/proc/self/oom_score_adj", O_WRONLY); }
static long try_sysrq(void) { return open("/proc/sysrq-trigger", O_WRONLY); }
static long try_host_file(void) { return open(argument, O_RDONLY); }
static long try_root_write(void) { return open("/escape-file", O_WRONLY | O_CREAT, 0600); }
static long try_dev_write(void) { return open("/dev/escape-file", O_WRONLY | O_CREAT, 0600); }
static long try_set_rlimit(void) {
  const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
  return setrlimit(RLIMIT_NOFILE, &none);
}

static long try_clone_user(void) {
  const long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
  if (child == 0) _exit(0);
  if (child > 0) waitpid((pid_t)child, NULL, 0);
  return child;
}

static long try_setns(void) {
  const int file = open("/proc/self/ns/net", O_RDONLY);
  return file < 0 ? -1 : setns(file, CLONE_NEWNET);
}

static long try_ptrace(void) {
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  const long result = ptrace(PTRACE_ATTACH, child, NULL, NULL);
  const int error = errno;
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  errno = error;
  return result;
}

static long try_process_vm(void) {
  static char from[8] = "secret", to[8];
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  const struct iovec local = {to, sizeof to}, remote = {from, sizeof from};
  const long result = process_vm_readv(child, &local, 1, &remote, 1, 0);
  const int error = errno;
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  errno = error;
  return result;
}

static long try_io_uring(void) {
  char parameters[120] = {0};
  return syscall(SYS_io_uring_setup, 4, parameters);
}

static long try_perf(void) {
  struct perf_event_attr attributes = {.type = PERF_TYPE_SOFTWARE, .size = sizeof attributes, .config = PERF_COUNT_SW_TASK_CLOCK};
  return syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0);
}

static long try_bpf(void) {
  union bpf_attr attributes = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
  return syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes);
}

/* The file of the host by way of the root of any process that is to be seen. */
static long try_proc_root(void) {
  char path[512];
  DIR *folder = opendir("/proc");
  if (folder == NULL) return -1;
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    if (atoi(entry->d_name) <= 0) continue;
    snprintf(path, sizeof path, "/proc/%s/root%s", entry->d_name, argument);
    if (open(path, O_RDONLY) >= 0) return 0;
  }
  return refuse(ENOENT);
}

/* Any of the devices that lead to the machine. */
static long try_devices(void) {
  static const char *const devices[] = {"/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/fuse", "/dev/kvm", "/dev/net/tun", "/dev/loop-control"};
  for (size_t each = 0; each < sizeof devices / sizeof *devices; each++)
    if (open(devices[each], O_RDONLY) >= 0) return 0;
  return refuse(ENOENT);
}

static long connect_to(const char *address, uint16_t port, int type) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, address, &to.sin_addr);
  const int file = socket(AF_INET, type, 0);
  if (file < 0 || connect(file, (struct sockaddr *)&to, sizeof to) != 0) return -1;
  return type == SOCK_DGRAM ? send(file, "x", 1, 0) : 0;
}

static long try_loopback(void) { return connect_to("127.0.0.1", (uint16_t)atoi(argument), SOCK_STREAM); }
static long try_metadata(void) { return connect_to("169.254.169.254", 80, SOCK_STREAM); }
static long try_address(void) { return connect_to("192.0.2.1", 53, SOCK_DGRAM); }

/* A name is asked for where resolv.conf says, or at a well-known resolver: here, the first step of either. */
static long try_name(void) {
  const int file = open("/etc/resolv.conf", O_RDONLY);
  if (file >= 0) return 0;
  return connect_to("9.9.9.9", 53, SOCK_DGRAM);
}

static long try_unix(int is_abstract) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  strncpy(to.sun_path + is_abstract, argument, sizeof to.sun_path - 2);
  const socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)is_abstract + strlen(argument));
  const int file = socket(AF_UNIX, SOCK_STREAM, 0);
  return file < 0 ? -1 : connect(file, (struct sockaddr *)&to, length);
}
static long try_abstract_socket(void) { return try_unix(1); }
static long try_socket_file(void) { return try_unix(0); }

/* Runs a program with the set-user-id bit of its owner; `done` if it made a difference. */
static long try_setuid_file(void) {
  if (geteuid() == 0) return 0;
  const pid_t child = fork();
  if (child == 0) {
    execl("/bin/setuid-escape", "setuid-escape", "am-i-root", (char *)NULL);
    _exit(2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : refuse(EPERM);
}
static long try_am_i_root(void) { return geteuid() == 0 ? 0 : refuse(EPERM); }

static long try_capabilities(void) {
  struct { uint32_t version; int pid; } header = {0x20080522, 0};
  struct { uint32_t effective, permitted, inheritable; } data[2] = {{0, 0, 0}, {0, 0, 0}};
  if (syscall(SYS_capget, &header, data) != 0) return -1;
  return (data[0].effective | data[1].effective | data[0].permitted | data[1].permitted) != 0 ? 0 : refuse(EPERM);
}
static long try_new_privileges(void) { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 ? 0 : refuse(EPERM); }

static long bomb_memory(void) {
  for (;;) {
    char *bytes = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED) return -1;
    memset(bytes, 1, 1 << 20);
  }
}
static long bomb_forks(void) {
  int children = 0;
  for (pid_t child; (child = fork()) >= 0; children++)
    if (child == 0) {
      pause();
      _exit(0);
    }
  printf("forks %d\n", children);
  return -1;
}
static long bomb_disk(void) {
  static char bytes[1 << 16];
  const int file = open(argument, O_WRONLY | O_CREAT, 0600);
  if (file < 0) return -1;
  while (write(file, bytes, sizeof bytes) > 0) continue;
  return -1;
}
static long bomb_inodes(void) {
  char path[64];
  for (long count = 0;; count++) {
    snprintf(path, sizeof path, "/tmp/%ld", count);
    const int file = open(path, O_WRONLY | O_CREAT, 0600);
    if (file < 0) return -1;
    close(file);
  }
}
static long bomb_logs(void) {
  while (puts("a line of a program that says too much") >= 0) continue;
  return -1;
}
static long sleep_on(void) {
  while (pause() == -1) continue;
  return -1;
}
static long burn(void) {
  for (volatile unsigned long each = 1; each != 0; each++) continue;
  return -1;
}
static long leave_link(void) { return symlink(argument, "/output/link"); }
static long leave_folder_link(void) { return symlink("/", "/output/folder"); }
static long leave_names(void) {
  const int file = open("/output/one", O_WRONLY | O_CREAT, 0600);
  return file < 0 ? -1 : link("/output/one", "/output/two");
}
static long leave_pipe(void) { return bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&(struct sockaddr_un){AF_UNIX, "/output/socket"}, sizeof(struct sockaddr_un)); }
static long leave_sparse(void) {
  const int file = open("/output/sparse", O_WRONLY | O_CREAT, 0600);
  return file < 0 ? -1 : ftruncate(file, (off_t)1 << 40);
}
static long leave_many(void) {
  char path[64];
  for (int count = 0; count < 300; count++) {
    snprintf(path, sizeof path, "/output/%d", count);
    const int file = open(path, O_WRONLY | O_CREAT, 0600);
    if (file < 0) return -1;
    close(file);
  }
  return 0;
}
/* Ends well while processes of it go on exchanging a file of /output for a link to one of the host. */
static long leave_race(void) {
  for (int each = 0; each < 4; each++) {
    if (fork() != 0) continue;
    setsid();
    for (;;) {
      const int file = open("/output/new", O_WRONLY | O_CREAT, 0600);
      if (file >= 0) close(file);
      rename("/output/new", "/output/raced");
      if (symlink(argument, "/output/new") == 0) rename("/output/new", "/output/raced");
    }
  }
  usleep(50000);
  return 0;
}

static const struct {
  const char *name;
  long (*attempt)(void);
} ATTEMPTS[] = {
    {"mount", try_mount}, {"remount", try_remount}, {"umount", try_umount}, {"pivot_root", try_pivot},
    {"open_tree", try_open_tree}, {"chroot", try_chroot}, {"ptrace", try_ptrace}, {"process_vm_readv", try_process_vm},
    {"keyctl", try_keyctl}, {"add_key", try_add_key}, {"unshare-user", try_unshare_user},
    {"unshare-net", try_unshare_net}, {"clone-user", try_clone_user}, {"setns", try_setns}, {"io_uring", try_io_uring},
    {"perf_event_open", try_perf}, {"bpf", try_bpf}, {"userfaultfd", try_userfaultfd}, {"kexec", try_kexec},
    {"module", try_module}, {"setuid", try_setuid}, {"setuid-file", try_setuid_file}, {"am-i-root", try_am_i_root},
    {"capabilities", try_capabilities}, {"new-privileges", try_new_privileges}, {"tiocsti", try_tiocsti},
    {"sethostname", try_hostname}, {"proc-sys", try_proc_sys}, {"proc-write", try_proc_write}, {"sysrq", try_sysrq},
    {"proc-root", try_proc_root}, {"host-file", try_host_file}, {"root-write", try_root_write},
    {"dev-write", try_dev_write}, {"device-node", try_device_node}, {"device-mode", try_device_mode},
    {"devices", try_devices}, {"set-rlimit", try_set_rlimit}, {"signal", try_signal}, {"raw-socket", try_raw_socket},
    {"packet-socket", try_packet_socket}, {"netlink", try_netlink}, {"loopback", try_loopback},
    {"metadata", try_metadata}, {"address", try_address}, {"name", try_name}, {"abstract-socket", try_abstract_socket},
    {"socket-file", try_socket_file}, {"bomb-memory", bomb_memory}, {"bomb-forks", bomb_forks}, {"bomb-disk", bomb_disk},
    {"bomb-inodes", bomb_inodes}, {"bomb-logs", bomb_logs}, {"sleep", sleep_on}, {"burn", burn}, {"leave-link", leave_link},
    {"leave-folder-link", leave_folder_link}, {"leave-names", leave_names}, {"leave-socket", leave_pipe},
    {"leave-sparse", leave_sparse}, {"leave-many", leave_many}, {"leave-race", leave_race},
};

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  argument = argc > 2 ? argv[2] : "";
  for (size_t each = 0; each < sizeof ATTEMPTS / sizeof *ATTEMPTS; each++) {
    if (strcmp(ATTEMPTS[each].name, argv[1]) != 0) continue;
    if (ATTEMPTS[each].attempt() >= 0) {
      puts("done");
      return 0;
    }
    printf("denied %s\n", strerrorname_np(errno));
    return 1;
  }
  return 2;
}
