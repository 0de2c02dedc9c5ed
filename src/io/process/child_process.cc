#include "io/process/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>

#include "base/error.h"

extern char** environ;

namespace weir {
namespace {

Micros MonotonicNow() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

[[noreturn]] void CannotStart(const std::string& program, int error) {
  throw Error(ErrorCode::kUnavailable,
              "could not start \"" + program + "\": " + std::strerror(error));
}

}  // namespace

MessageSocket::~MessageSocket() { close(fd_); }

bool MessageSocket::Wait(short events, Micros deadline) {
  for (;;) {
    int timeout = -1;
    if (deadline != 0) {
      Micros left = deadline - MonotonicNow();
      if (left <= 0) return false;
      timeout = static_cast<int>(std::min<Micros>((left + 999) / 1000, INT_MAX));
    }
    pollfd wanted{fd_, events, 0};
    int ready = poll(&wanted, 1, timeout);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

bool MessageSocket::Send(uint8_t kind, std::string_view body, Micros deadline) {
  CHECK(body.size() < UINT32_MAX);  // or the other side would read something else
  std::string frame(5, '\0');
  uint32_t length = static_cast<uint32_t>(body.size() + 1);
  std::memcpy(frame.data(), &length, sizeof(length));
  frame[4] = static_cast<char>(kind);
  std::string_view parts[] = {frame, body};
  for (std::string_view part : parts) {
    while (!part.empty()) {
      if (deadline != 0 && !Wait(POLLOUT, deadline)) return false;
      int flags = MSG_NOSIGNAL | (deadline != 0 ? MSG_DONTWAIT : 0);
      ssize_t sent = send(fd_, part.data(), part.size(), flags);
      if (sent < 0) {
        if (errno == EINTR || errno == EAGAIN) continue;
        return false;
      }
      part.remove_prefix(static_cast<size_t>(sent));
    }
  }
  return true;
}

bool MessageSocket::ReadExactly(char* to, size_t size, Micros deadline) {
  while (size > 0) {
    if (deadline != 0 && !Wait(POLLIN, deadline)) return false;
    ssize_t got = recv(fd_, to, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    to += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

std::optional<MessageSocket::Message> MessageSocket::Receive(uint64_t body_max, Micros deadline) {
  char head[5];
  if (!ReadExactly(head, sizeof(head), deadline)) return std::nullopt;
  uint32_t length;
  std::memcpy(&length, head, sizeof(length));
  if (length == 0 || length - 1 > body_max) return std::nullopt;
  Message message;
  message.kind = static_cast<uint8_t>(head[4]);
  message.body.resize(length - 1);
  if (!ReadExactly(message.body.data(), message.body.size(), deadline)) return std::nullopt;
  return message;
}

ChildProcess::ChildProcess(const std::string& program, const std::vector<std::string>& arguments) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) CannotStart(program, errno);
  socket_ = std::make_unique<MessageSocket>(ends[0]);

  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  int child_end = ends[1];
  if (child_end == kChildSocket) {
    // dup2 onto itself would keep close-on-exec: go by way of another number.
    child_end = fcntl(ends[1], F_DUPFD_CLOEXEC, kChildSocket + 1);
  }
  posix_spawn_file_actions_adddup2(&actions, child_end, kChildSocket);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  int error = posix_spawn(&pid_, program.c_str(), &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (child_end != ends[1]) close(child_end);
  close(ends[1]);
  if (error != 0) {
    pid_ = -1;
    CannotStart(program, error);
  }
}

ChildProcess::~ChildProcess() {
  if (pid_ < 0) return;
  Kill();
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void ChildProcess::Kill() { kill(pid_, SIGKILL); }

std::string OwnProgram() { return "/proc/self/exe"; }

void BecomeChild() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // Ctrl-C in a terminal goes to the whole group; the parent decides when we end.
  signal(SIGINT, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  close_range(kChildSocket + 1, ~0U, 0);
}

}  // namespace weir
