#include "query/worker.h"

#include <memory>
#include <optional>

#include "duck/errors.h"
#include "io/process/child_process.h"
#include "io/process/sandbox.h"
#include "query/messages.h"
#include "query/trial_worker.h"
#include "query/worker_query.h"

namespace weir {
namespace {

// Weir is trusted, but a length that makes no sense is still a bug worth stopping at.
constexpr uint64_t kMessageMax = uint64_t{4} << 30;

void Send(MessageSocket& socket, MessageKind kind, std::string_view body) {
  if (!socket.Send(static_cast<uint8_t>(kind), body)) {
    throw Error(ErrorCode::kUnavailable, "nobody waits for this answer any more");
  }
}

template <typename M>
std::optional<M> Receive(MessageSocket& socket, MessageKind kind) {
  auto message = socket.Receive(kMessageMax);
  if (!message || message->kind != static_cast<uint8_t>(kind)) return std::nullopt;
  M body;
  Read(message->body, body);
  return body;
}

// Of an answer in one message; a wide row may make a piece that is larger.
constexpr size_t kPieceBytes = 32 << 20;

// Anything a query needs beyond its own memory limit: code, stacks, what DuckDB does not count.
constexpr uint64_t kAddressSpaceBeside = uint64_t{3} << 30;

std::unique_ptr<WorkerEngine> OpenEngine(const HelloMessage& hello) {
  SandboxRules rules;
  rules.readable = hello.readable;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they reserve terabytes
  rules.address_space = 2 * hello.memory_bytes + kAddressSpaceBeside;
#endif
  auto engine = std::make_unique<WorkerEngine>(hello);
  EnterSandbox(rules);
  engine->ShutIn(hello);
  return engine;
}

// False when Weir is gone.
bool Answer(MessageSocket& socket, WorkerEngine& engine, QueryMessage message) {
  LimitCpuTime(static_cast<uint64_t>(message.timeout / 1'000'000 + 1) * 4);
  DoneMessage done;
  auto format = message.format;
  try {
    WorkerQuery query(engine, std::move(message));
    Send(socket, MessageKind::kNeed, Write(query.need()));
    auto data = Receive<DataMessage>(socket, MessageKind::kData);
    if (!data) return false;
    for (auto& view : data->views) {
      for (uint32_t i = 0; i < view.pieces; i++) {
        auto piece = Receive<BlockMessage>(socket, MessageKind::kRows);
        if (!piece) return false;
        view.blocks.push_back(std::move(piece->block));
        view.copies.insert(view.copies.end(), piece->copies.begin(), piece->copies.end());
      }
    }
    bool blocks = format == AnswerFormat::kBlocks;  // each is a message
    done.more = query.Run(*data, [&](std::string bytes) {
      for (std::string_view left = bytes; !left.empty();) {
        auto piece = blocks ? left : left.substr(0, kPieceBytes);
        Send(socket, MessageKind::kBody, piece);
        left.remove_prefix(piece.size());
      }
    });
  } catch (...) {
    done.error = CurrentError();
  }
  return socket.Send(static_cast<uint8_t>(MessageKind::kDone), Write(done));
}

}  // namespace

int RunQueryWorker(int socket_fd) {
  BecomeChild();
  MessageSocket socket(socket_fd);
  try {
    auto hello = Receive<HelloMessage>(socket, MessageKind::kHello);
    if (!hello) return 0;
    if (hello->trials) return RunTrialWorker(socket, *hello);
    auto engine = OpenEngine(*hello);
    while (auto query = Receive<QueryMessage>(socket, MessageKind::kQuery)) {
      if (!Answer(socket, *engine, std::move(*query))) break;
    }
    return 0;
  } catch (...) {
    DoneMessage done;
    done.error = CurrentError();
    socket.Send(static_cast<uint8_t>(MessageKind::kDone), Write(done));
    return 1;
  }
}

}  // namespace weir
