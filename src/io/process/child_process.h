// A child process of the same program with one socket between the two, and messages over it.
//
// Owned by whoever talks to the child; one thread sends and receives at a time, Kill may come from
// any thread.  The child is killed and reaped when the object goes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace weir {

// Length-prefixed messages over a stream socket: u32 length of what follows, u8 kind, bytes.
class MessageSocket {
 public:
  explicit MessageSocket(int fd) : fd_(fd) {}
  ~MessageSocket();
  MessageSocket(const MessageSocket&) = delete;
  MessageSocket& operator=(const MessageSocket&) = delete;

  struct Message {
    uint8_t kind = 0;
    std::string body;
  };

  // False when the other side is gone, or the deadline (monotonic micros; 0: none) has passed.
  bool Send(uint8_t kind, std::string_view body, Micros deadline = 0);
  // Nothing when the other side is gone, sent more than `body_max`, or the deadline has passed.
  std::optional<Message> Receive(uint64_t body_max, Micros deadline = 0);

 private:
  bool Wait(short events, Micros deadline);
  bool ReadExactly(char* to, size_t size, Micros deadline);

  int fd_;
};

class ChildProcess {
 public:
  // Starts `program` with `arguments`; the child finds its end of the socket as descriptor 3.
  // Throws Error(kUnavailable).
  ChildProcess(const std::string& program, const std::vector<std::string>& arguments);
  ~ChildProcess();

  MessageSocket& socket() { return *socket_; }
  // Ends it at once.  Safe to call from any thread while the object lives.
  void Kill();
  int pid() const { return pid_; }

 private:
  int pid_ = -1;
  std::unique_ptr<MessageSocket> socket_;
};

inline constexpr int kChildSocket = 3;

// The running program's own file, also when it was replaced on disk meanwhile.
std::string OwnProgram();

// In the child, first of all: ends with its parent, and holds no descriptor of it but the socket.
void BecomeChild();

}  // namespace weir
